"""Files beside the tables, through Hadoop's file systems: whatever URL Spark can write to."""

from __future__ import annotations

from py4j.java_gateway import JavaObject
from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession

from l2a.errors import EnvironmentProblem


def file_system(spark: SparkSession, path: str) -> tuple[JavaObject, JavaObject]:
    """The file system that a path lies in, and the path for it.

    Raises `EnvironmentProblem` where Spark has no connector for it, or cannot reach it.
    """
    there = hadoop_path(spark, path)
    try:
        return there.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf()), there
    except Py4JJavaError as error:
        raise EnvironmentProblem(
            f"Spark cannot reach {path}: {first_line(error)}. Its connector must be "
            "among Spark's jars, and the path begin as that connector wants it (s3a:// for hadoop-aws): see Storage in "
            "docs/operations.md"
        ) from error


def hadoop_path(spark: SparkSession, path: str) -> JavaObject:
    """A path as Hadoop's own object."""
    assert spark._jvm is not None, "only a session without a JVM of its own (Spark Connect) has none"
    return spark._jvm.org.apache.hadoop.fs.Path(path)


def first_line(error: Exception) -> str:
    """What an error of Spark or of its Java says, without the stack below it."""
    said = error.java_exception.toString() if isinstance(error, Py4JJavaError) else str(error)
    return said.strip().splitlines()[0]
