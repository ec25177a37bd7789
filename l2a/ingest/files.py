"""Which files there are to read, and their lines with the place that each stands in."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from l2a.errors import InputUnreadable, UsageError
from l2a.ingest import parquet_files
from l2a.tables.hadoop import file_system, first_line

TEXT_SUFFIXES = (".jsonl", ".json", ".ndjson")
COMPRESSIONS = ("", ".gz", ".bz2", ".zst")
PARQUET_SUFFIX = ".parquet"
_KNOWN = re.compile(rf"({'|'.join(TEXT_SUFFIXES)})({'|'.join(COMPRESSIONS)})$|{PARQUET_SUFFIX}$")

_HIDDEN = re.compile(r"/[._][^./]")
BOM = "\ufeff"
_DAMAGED = re.compile(r"FAILED_READ_FILE.*? reading file (?P<path>.+?)\.\s+SQLSTATE")
_COLON = re.compile(r"^file:.*:[^/]*$")
_GLOB = re.compile(r"([\[\]{}*?\\])")


class LogFile(NamedTuple):
    """A file in the state in which it lies there: the key under which `sources` remembers it."""

    path: str
    size_bytes: int
    modified_at: dt.datetime


def find(spark: SparkSession, paths: list[str], date: str | None = None) -> list[LogFile]:
    """The log files under files, folders and globs, each once, by path.

    date: only the landing folder `dt=<date>` of each path. In folders and globs, files with other endings than JSON
    lines (compressed or not) and Parquet are passed over; a file that is named itself is always read,
    but where Spark passes over its name, which is an error.
    Raises `UsageError` where a path leads nowhere, cannot be read as one, or leads to files of other endings only;
    `EnvironmentProblem` where Spark cannot reach it.
    """
    found: set[LogFile] = set()
    for path in [f"{path.rstrip('/')}/dt={date}" for path in paths] if date else paths:
        if "://" in path:
            file_system(spark, path)
        try:
            pattern = literal(path) if _GLOB.search(path) and _exists(spark, path) else path
            # The reader of whole files, of which only the names are asked: it reads no content then.
            listed = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(pattern)
            files = [LogFile(*row) for row in listed.select("path", "length", "modificationTime").collect()]
        except AnalysisException as error:
            raise UsageError(f"there is nothing to read at {path}: {first_line(error)}") from None
        except (PySparkException, Py4JJavaError) as error:
            raise UsageError(f"{path} cannot be looked for: {first_line(error)}") from error
        name = "/" + path.rstrip("/").rsplit("/", 1)[-1]
        if not files and _HIDDEN.match(name):
            raise UsageError(
                f"{path} is not read: Spark passes over what begins with a dot or an underscore; rename it"
            )
        logs = [file for file in files if _KNOWN.search(file.path.lower()) or file.path.endswith(name)]
        if files and not logs:
            raise UsageError(
                f"none of the {len(files)} files at {path} is a log by its name: l2a takes {', '.join(TEXT_SUFFIXES)} "
                f"(also with {', '.join(COMPRESSIONS[1:])}) and {PARQUET_SUFFIX}; name other files themselves"
            )
        for file in logs:
            if _COLON.search(file.path):
                raise UsageError(
                    f"{file.path} cannot be read: Hadoop takes no colon in the name of a local file; rename it"
                )
        found.update(logs)
    return sorted(found)


def _exists(spark: SparkSession, path: str) -> bool:
    """Whether a path is there by this very name, which then is no pattern."""
    there, itself = file_system(spark, path)
    return bool(there.exists(itself))


def is_parquet(path: str) -> bool:
    return path.lower().endswith(PARQUET_SUFFIX)


def literal(path: str) -> str:
    """A path for Spark's readers, which would take brackets and the like in it for a pattern."""
    return _GLOB.sub(r"\\\1", path)


def _source() -> Column:
    """The file of a row, written as in `LogFile.path` (Spark's own column is a percent-encoded URL)."""
    decoded = F.url_decode(F.replace(F.col("_metadata.file_path"), F.lit("+"), F.lit("%2B")))
    return F.regexp_replace(decoded, "^file:/+", "file:/")


def landed() -> Column:
    """The landing date of a row's source; null outside landing folders."""
    date = F.nullif(F.regexp_extract("source", r"/dt=(\d{4}-\d{2}-\d{2})/", 1), F.lit(""))
    return F.try_to_date(date, "yyyy-MM-dd")


def lines(spark: SparkSession, text: list[str], parquet: list[str]) -> DataFrame:
    """All lines of the files: source, block, place, value (text) or row (a variant, for Parquet).

    They are to be read within `nanoseconds.readable`.
    (source, block, place) orders the lines of a file and names each one; `positions` turns it into line numbers.
    """
    parts = []
    if text:
        read = spark.read.option("lineSep", "\n").text([literal(path) for path in text])
        value = F.when(F.startswith(F.col("value"), F.lit(BOM)), F.substr("value", F.lit(2))).otherwise(F.col("value"))
        parts.append(
            read.select(
                _source().alias("source"),
                F.col("_metadata.file_block_start").alias("block"),
                F.monotonically_increasing_id().alias("place"),
                value.alias("value"),
                F.lit(None).cast("variant").alias("row"),
            )
        )
    try:
        tables = parquet_files.tables(spark, parquet, literal)
    except parquet_files.Unreadable as error:
        raise InputUnreadable(_unreadable(error.path, error.why)) from error
    for read, paths in tables:
        parts.append(
            read.select(
                _source().alias("source"),
                F.lit(0).cast("bigint").alias("block"),
                F.col("_metadata.row_index").alias("place"),
                F.lit(None).cast("string").alias("value"),
                parquet_files.row(read, paths, _source()).alias("row"),
            )
        )
    return functools.reduce(DataFrame.unionByName, parts)


@contextlib.contextmanager
def naming_damaged_files() -> Iterator[None]:
    """Turns the failure of a query over log files into `InputUnreadable`, where a file is the reason."""
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        said = _DAMAGED.search(str(error))
        if said is None:
            raise
        raise InputUnreadable(_unreadable(said["path"])) from error


def _unreadable(path: str, why: str = parquet_files.DAMAGED) -> str:
    return (
        f"{path} cannot be read to its end: {why}. Nothing of this run was taken; mend or remove the file and run again"
    )


class Block(NamedTuple):
    """A stretch of a file that one task read."""

    source: str
    block: int
    lines: int
    first_place: int
    rejected: int
    """Rejected lines in it."""
    good: int


def blocks(staged: DataFrame, rejected: str, good: str) -> list[Block]:
    """The blocks of staged lines, in the order in which they stand in their files; rejected, good: SQL conditions."""
    counted = staged.groupBy("source", "block").agg(
        F.count("*"), F.min("place"), F.count_if(F.expr(rejected)), F.count_if(F.expr(good))
    )
    return sorted(Block(*row) for row in counted.collect())


def with_position(some: DataFrame, blocks: list[Block]) -> DataFrame:
    """Adds `position`, the line number (or row number) in the source, from 1."""
    offsets, before, last = [], 0, ""
    for block in blocks:
        before = before if block.source == last else 0
        offsets.append((block.source, block.block, before - block.first_place + 1))
        before, last = before + block.lines, block.source
    known = some.sparkSession.createDataFrame(offsets, "source string, block bigint, offset bigint")
    placed = some.join(F.broadcast(known), ["source", "block"])
    return placed.withColumn("position", F.col("place") + F.col("offset")).drop("offset")
