"""Intermediate results of one ingest run, each computed once: by this attempt, or by one that died after finishing it.

They are small Delta tables in a folder of the warehouse. Delta's idempotent writes (one application id and version)
make the first finished attempt win, also against an orphan of a killed one that still runs.
"""

from __future__ import annotations

from collections.abc import Callable

from delta import DeltaTable
from pyspark.sql import DataFrame, SparkSession


class Staging:
    """One run's folder."""

    def __init__(self, spark: SparkSession, path: str) -> None:
        self.spark = spark
        self.path = path

    def once(self, name: str, compute: Callable[[], DataFrame]) -> DataFrame:
        """The stored result of that name; computed and stored first if no attempt did."""
        path = f"{self.path}/{name}"
        if not DeltaTable.isDeltaTable(self.spark, path):
            write = compute().write.format("delta").mode("append").option("delta.dataSkippingNumIndexedCols", "0")
            write.option("txnAppId", self.path).option("txnVersion", "1").save(path)
        return self.spark.read.format("delta").load(path)

    def delete(self) -> None:
        """Removes the folder; the run is over."""
        jvm, conf = self.spark._jvm, self.spark._jsparkSession.sessionState().newHadoopConf()
        folder = jvm.org.apache.hadoop.fs.Path(self.path)
        folder.getFileSystem(conf).delete(folder, True)
