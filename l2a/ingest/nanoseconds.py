"""Parquet columns of nanoseconds, which Spark does not take: pandas writes them unless it is told otherwise.

Spark can hand them over as plain numbers, by a setting of the session. Which numbers they are then only the file's
footer tells.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

_AS_NUMBERS = "spark.sql.legacy.parquet.nanosAsLong"


@contextlib.contextmanager
def readable(spark: SparkSession) -> Iterator[None]:
    """While this lasts, what `read` gives can be run; after it the session is as it was."""
    before = str(spark.conf.get(_AS_NUMBERS))
    try:
        yield
    finally:
        spark.conf.set(_AS_NUMBERS, before)


def read(spark: SparkSession, path: str, pattern: str) -> DataFrame | None:
    """The file with its nanoseconds as timestamps; None: it holds none.

    pattern: the path as Spark's readers take it.
    """
    found = _leaves(spark, path)
    if not any(found):
        return None
    spark.conf.set(_AS_NUMBERS, "true")
    numbers = spark.read.parquet(pattern)
    # The footer's columns are the leaves of the schema, in its order.
    leaves = iter(found)
    columns = [_timed(F.col(quoted(field.name)), _marks(field.dataType, leaves)) for field in numbers.schema.fields]
    return numbers.withColumns(dict(zip(numbers.columns, columns, strict=True)))


def quoted(name: str) -> str:
    """A column's name as Spark's SQL takes it, whatever stands in it."""
    return "`" + name.replace("`", "``") + "`"


def _leaves(spark: SparkSession, path: str) -> list[bool]:
    """Of each column of the footer, nested ones too: whether it counts nanoseconds."""
    java: Any = spark._jvm
    conf = spark._jsparkSession.sessionState().newHadoopConf()
    file = java.org.apache.parquet.hadoop.util.HadoopInputFile.fromPath(java.org.apache.hadoop.fs.Path(path), conf)
    reader = java.org.apache.parquet.hadoop.ParquetFileReader.open(file)
    try:
        columns = list(reader.getFileMetaData().getSchema().getColumns())
        return ["TIMESTAMP(NANOS" in column.getPrimitiveType().toString() for column in columns]
    finally:
        reader.close()


def _marks(kind: T.DataType, leaves: Iterator[bool]) -> Any:
    """The type's tree with what the footer says of each leaf: a bool, a mark per field, or a list with an element's."""
    if isinstance(kind, T.StructType):
        return {field.name: _marks(field.dataType, leaves) for field in kind.fields}
    if isinstance(kind, T.ArrayType):
        return [_marks(kind.elementType, leaves)]
    if isinstance(kind, T.MapType):
        return (_marks(kind.keyType, leaves), _marks(kind.valueType, leaves))
    return next(leaves)


def _timed(column: Column, marks: Any) -> Column:
    if not _any(marks):
        return column
    if isinstance(marks, dict):
        fields = [_timed(column.getField(name), inner).alias(name) for name, inner in marks.items()]
        return F.when(column.isNotNull(), F.struct(*fields))
    if isinstance(marks, list):
        return F.transform(column, lambda each: _timed(each, marks[0]))
    if isinstance(marks, tuple):
        return F.transform_values(column, lambda _, value: _timed(value, marks[1]))
    return F.timestamp_micros(F.call_function("div", column, F.lit(1000)))


def _any(marks: Any) -> bool:
    if isinstance(marks, dict):
        return any(map(_any, marks.values()))
    return any(map(_any, marks)) if isinstance(marks, list | tuple) else bool(marks)
