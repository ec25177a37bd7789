"""Fitted judges in a warehouse: plain files under `_judges/<name>`, and how they reach Spark's workers.

An artifact is a few megabytes. It is read once through Spark's own file systems, so that any URL will do, and travels
to the workers as a broadcast; a worker process loads it once.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from l2a.errors import TableMissing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from l2a.judge.embedded import EmbeddedJudge

Artifact = tuple[tuple[str, bytes], ...]
"""File names and contents."""


def path(root: str, name: str) -> str:
    return f"{root}/_judges/{name}"


def write(spark: SparkSession, root: str, judge: EmbeddedJudge) -> None:
    """Stores a fitted judge; storing the same one again changes nothing."""
    from l2a.tables.hadoop import file_system, hadoop_path

    target = path(root, judge.name)
    files, _ = file_system(spark, target)
    with tempfile.TemporaryDirectory() as folder:
        judge.save(folder)
        for file in sorted(Path(folder).iterdir()):
            here, there = hadoop_path(spark, file.as_uri()), hadoop_path(spark, f"{target}/{file.name}")
            files.copyFromLocalFile(False, True, here, there)


def read(spark: SparkSession, root: str, name: str) -> Artifact:
    """The files of a fitted judge. Raises `TableMissing` where the warehouse has none of that name."""
    from pyspark.errors import AnalysisException

    try:
        found = spark.read.format("binaryFile").load(path(root, name)).select("path", "content").collect()
    except AnalysisException:
        raise TableMissing(f"the warehouse {root} has no fitted judge {name}: run `l2a fit-judge`") from None
    return tuple(sorted((row["path"].rsplit("/", 1)[-1], bytes(row["content"])) for row in found))


@functools.lru_cache(maxsize=2)
def load(artifact: Artifact) -> EmbeddedJudge:
    """The judge of an artifact, loaded once a process."""
    from l2a.judge.embedded import load as load_folder

    with tempfile.TemporaryDirectory() as folder:
        for name, content in artifact:
            (Path(folder) / name).write_bytes(content)
        return load_folder(folder)
