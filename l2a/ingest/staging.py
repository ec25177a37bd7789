"""Intermediate results of one ingest run, each computed once: by this attempt, or by one that died after finishing it.

They are small Delta tables in a folder of the warehouse. Delta's idempotent writes (one application id and version)
make the first finished attempt win, also against an orphan of a killed one that still runs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from delta import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from l2a.tables.conflicts import CONFLICTS
from l2a.tables.hadoop import file_system


class Staging:
    """One run's folder."""

    def __init__(self, spark: SparkSession, root: str, run_id: str) -> None:
        self.spark = spark
        self.path = f"{_folder(root)}/{run_id}"

    def once(self, name: str, compute: Callable[[], DataFrame]) -> DataFrame:
        """The stored result of that name; computed and stored first if no attempt did."""
        path = f"{self.path}/{name}"
        if not self.holds(name):
            write = compute().write.format("delta").mode("append").option("delta.dataSkippingNumIndexedCols", "0")
            try:
                write.option("txnAppId", self.path).option("txnVersion", "1").save(path)
            except CONFLICTS:
                # Another attempt made the table while this one computed: what it stored counts.
                if not DeltaTable.isDeltaTable(self.spark, path):
                    raise
        return self.spark.read.format("delta").load(path)

    def holds(self, name: str) -> bool:
        """Whether a result of that name is stored."""
        return DeltaTable.isDeltaTable(self.spark, f"{self.path}/{name}")

    def delete(self) -> None:
        """Removes the folder; the run is over."""
        files, folder = file_system(self.spark, self.path)
        files.delete(folder, True)

    def last_written(self) -> dt.datetime:
        """When anything in the folder was last written (UTC)."""
        files, folder = file_system(self.spark, self.path)
        last, there = files.getFileStatus(folder).getModificationTime(), files.listFiles(folder, True)
        while there.hasNext():
            last = max(last, there.next().getModificationTime())
        return dt.datetime.fromtimestamp(last / 1000, dt.UTC)


def left_behind(spark: SparkSession, root: str) -> list[str]:
    """Ids of the runs whose folders are still there: unfinished ones, and those killed just before cleaning up."""
    files, folder = file_system(spark, _folder(root))
    if not files.exists(folder):
        return []
    return sorted(entry.getPath().getName() for entry in files.listStatus(folder))


def _folder(root: str) -> str:
    return f"{root}/_staging"
