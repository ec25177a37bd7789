"""Parquet logs: files of one table or of several, each row as a variant, like a parsed line of JSON."""

from __future__ import annotations

import re
from collections.abc import Callable

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from l2a.ingest import nanoseconds
from l2a.tables.hadoop import first_line

DAMAGED = "it is damaged, or still being written"
_PARTITION = re.compile(r"/([^/=]+)=[^/]*(?=/)")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_IN_VARIANTS = (
    T.StringType, T.BooleanType, T.NumericType, T.BinaryType, T.DateType, T.TimestampType, T.TimestampNTZType,
    T.NullType, T.VariantType,
)  # fmt: skip


def tables(spark: SparkSession, paths: list[str], literal: Callable[[str], str]) -> list[tuple[DataFrame, list[str]]]:
    """The files as one table, or, where a column has different types in them, as a table each; with their paths.

    literal: a path as Spark's readers take it.
    """
    if not paths:
        return []
    try:
        return [(spark.read.option("mergeSchema", "true").parquet(*map(literal, paths)), paths)]
    except (PySparkException, Py4JJavaError):
        return [(_one(spark, path, literal(path)), [path]) for path in paths]


class Unreadable(Exception):
    """A file that Spark cannot read."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path)
        self.path = path
        self.why = why


def _one(spark: SparkSession, path: str, pattern: str) -> DataFrame:
    try:
        return nanoseconds.read(spark, path, pattern) or spark.read.parquet(pattern)
    except AnalysisException as error:  # a whole file, of a type that Spark does not take
        raise Unreadable(path, first_line(error)) from error
    except (PySparkException, Py4JJavaError) as error:
        raise Unreadable(path, DAMAGED) from error


def row(table: DataFrame, paths: list[str], source: Column) -> Column:
    """A row of a table as a variant: its columns, and the `name=value` folders that its file lies in.

    source: the file of a row, written as in `paths`.
    """
    columns = [_column(field).alias(field.name) for field in table.schema.fields]
    there = {name.lower() for name in table.columns}
    folders = {name for path in paths for name in _PARTITION.findall(path)}
    columns += [_folder(name, source).alias(name) for name in sorted(folders) if name.lower() not in there]
    return F.to_variant_object(F.struct(*columns))


def _column(field: T.StructField) -> Column:
    """A column of a type that variants do not hold, such as a map by numbers, is text: it must not end the run."""
    column = F.col(nanoseconds.quoted(field.name))
    return column if _fits(field.dataType) else column.cast("string")


def _fits(kind: T.DataType) -> bool:
    if isinstance(kind, T.StructType):
        return all(_fits(field.dataType) for field in kind.fields)
    if isinstance(kind, T.ArrayType):
        return _fits(kind.elementType)
    if isinstance(kind, T.MapType):
        return isinstance(kind.keyType, T.StringType) and _fits(kind.valueType)
    return isinstance(kind, _IN_VARIANTS)


def _folder(name: str, source: Column) -> Column:
    """The value of a folder `name=value`, as Hive and Spark write partitions of a table."""
    said = F.regexp_extract(source, f"/{re.escape(name)}=([^/]*)/", 1)
    # A value is percent-encoded, and a plus in it is a plus.
    value = F.try_url_decode(F.replace(said, F.lit("+"), F.lit("%2B")))
    return F.when(~said.isin("", _NO_VALUE), F.coalesce(value, said))
