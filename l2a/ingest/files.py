"""Which files there are to read, and their lines with the place that each stands in."""

from __future__ import annotations

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from l2a.errors import UsageError

TEXT_SUFFIXES = (".jsonl", ".json", ".ndjson")
COMPRESSIONS = ("", ".gz", ".bz2", ".zst")
PARQUET_SUFFIX = ".parquet"
_KNOWN = "(" + "|".join(s + c for s in TEXT_SUFFIXES for c in COMPRESSIONS).replace(".", r"\.") + r"|\.parquet)$"

BOM = "\ufeff"


def find(spark: SparkSession, paths: list[str], date: str | None = None) -> DataFrame:
    """The log files under files, folders and globs: columns path, size_bytes, modified_at, one row a file.

    date: only the landing folder `dt=<date>` of each path. In folders, files with other endings than JSON lines
    (compressed or not) and Parquet are passed over; a file that is named itself is always read.
    Raises `UsageError` where a path leads nowhere.
    """
    wanted = [f"{path.rstrip('/')}/dt={date}" for path in paths] if date else paths
    found: DataFrame | None = None
    for path in wanted:
        try:
            # The reader of whole files, of which only the names are asked: it reads no content then.
            listed = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(path)
        except AnalysisException as error:
            raise UsageError(f"there is nothing to read at {path}: {str(error).strip().splitlines()[0]}") from None
        files = listed.select(
            F.col("path"), F.col("length").alias("size_bytes"), F.col("modificationTime").alias("modified_at")
        )
        named = F.endswith(F.col("path"), F.lit("/" + path.rstrip("/").rsplit("/", 1)[-1]))
        files = files.where(F.lower("path").rlike(_KNOWN) | named)
        found = files if found is None else found.union(files)
    if found is None:
        raise UsageError("no path was given: name files, folders or globs of logs")
    return found.distinct()


def lines(spark: SparkSession, text: list[str], parquet: list[str]) -> DataFrame:
    """All lines of the files: source, block, place, value (text) or row (a variant, for Parquet).

    (source, block, place) orders the lines of a file and names each one; `positions` turns it into line numbers.
    """
    parts = []
    if text:
        read = spark.read.option("lineSep", "\n").text(text)
        value = F.when(F.startswith(F.col("value"), F.lit(BOM)), F.substr("value", F.lit(2))).otherwise(F.col("value"))
        parts.append(
            read.select(
                F.col("_metadata.file_path").alias("source"),
                F.col("_metadata.file_block_start").alias("block"),
                F.monotonically_increasing_id().alias("place"),
                value.alias("value"),
                F.lit(None).cast("variant").alias("row"),
            )
        )
    if parquet:
        read = spark.read.option("mergeSchema", "true").parquet(*parquet)
        parts.append(
            read.select(
                F.col("_metadata.file_path").alias("source"),
                F.lit(0).cast("bigint").alias("block"),
                F.col("_metadata.row_index").alias("place"),
                F.lit(None).cast("string").alias("value"),
                F.to_variant_object(F.struct(*[F.col(f"`{name}`") for name in read.columns])).alias("row"),
            )
        )
    return parts[0] if len(parts) == 1 else parts[0].unionByName(parts[1])


def blocks(staged: DataFrame) -> DataFrame:
    """Per block of a file: the first place in it and how many lines stand in the file before it."""
    from pyspark.sql import Window

    counted = staged.groupBy("source", "block").agg(F.count("*").alias("lines"), F.min("place").alias("first_place"))
    before = Window.partitionBy("source").orderBy("block").rowsBetween(Window.unboundedPreceding, -1)
    return counted.select(
        "source", "block", "first_place", F.coalesce(F.sum("lines").over(before), F.lit(0)).alias("lines_before")
    )


def with_position(some: DataFrame, blocks: DataFrame) -> DataFrame:
    """Adds `position`, the line number (or row number) in the source, from 1."""
    return (
        some.join(F.broadcast(blocks), ["source", "block"])
        .withColumn("position", F.col("lines_before") + F.col("place") - F.col("first_place") + 1)
        .drop("lines_before", "first_place")
    )
