"""Intermediate results of one ingest run, each computed once: by this attempt, or by one that died after finishing it.

They are small Delta tables in a folder of the warehouse. Delta's idempotent writes (one application id and version)
make the first finished attempt win, also against an orphan of a killed one that still runs.
"""

from __future__ import annotations

from collections.abc import Callable

from delta import DeltaTable
from py4j.java_gateway import JavaObject
from pyspark.sql import DataFrame, SparkSession


class Staging:
    """One run's folder."""

    def __init__(self, spark: SparkSession, root: str, run_id: str) -> None:
        self.spark = spark
        self.path = f"{_folder(root)}/{run_id}"

    def once(self, name: str, compute: Callable[[], DataFrame]) -> DataFrame:
        """The stored result of that name; computed and stored first if no attempt did."""
        path = f"{self.path}/{name}"
        if not DeltaTable.isDeltaTable(self.spark, path):
            write = compute().write.format("delta").mode("append").option("delta.dataSkippingNumIndexedCols", "0")
            write.option("txnAppId", self.path).option("txnVersion", "1").save(path)
        return self.spark.read.format("delta").load(path)

    def delete(self) -> None:
        """Removes the folder; the run is over."""
        _files(self.spark, self.path)[0].delete(_path(self.spark, self.path), True)


def left_behind(spark: SparkSession, root: str) -> list[str]:
    """Ids of the runs whose folders are still there: unfinished ones, and those killed just before cleaning up."""
    files, folder = _files(spark, _folder(root))
    if not files.exists(folder):
        return []
    return sorted(entry.getPath().getName() for entry in files.listStatus(folder))


def _folder(root: str) -> str:
    return f"{root}/_staging"


def _files(spark: SparkSession, folder: str) -> tuple[JavaObject, JavaObject]:
    """The file system that a folder lies in, and the folder for it."""
    path = _path(spark, folder)
    return path.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf()), path


def _path(spark: SparkSession, folder: str) -> JavaObject:
    assert spark._jvm is not None, "only a session without a JVM of its own (Spark Connect) has none"
    return spark._jvm.org.apache.hadoop.fs.Path(folder)
