"""Files beside the tables, through Hadoop's file systems: whatever URL Spark can write to."""

from __future__ import annotations

from py4j.java_gateway import JavaObject
from pyspark.sql import SparkSession


def file_system(spark: SparkSession, path: str) -> tuple[JavaObject, JavaObject]:
    """The file system that a path lies in, and the path for it."""
    there = hadoop_path(spark, path)
    return there.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf()), there


def hadoop_path(spark: SparkSession, path: str) -> JavaObject:
    """A path as Hadoop's own object."""
    assert spark._jvm is not None, "only a session without a JVM of its own (Spark Connect) has none"
    return spark._jvm.org.apache.hadoop.fs.Path(path)
