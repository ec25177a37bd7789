"""Writes Spark's loaded classes into an archive that every Java process of the tests then starts from.

    python tests/class_archive.py .venv/spark-classes.jsa

A step loads some fifteen thousand classes, which takes a new process longer than the little work that a test gives it
(class data sharing, JEP 350).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from small_spark import OPTIONS, SMALL_QUERIES


def main(archive: Path) -> None:
    from helpers import as_line, dialogue, open_warehouse

    from l2a.mapping import load
    from l2a.settings import IngestSettings, SparkSettings
    from spark_jobs import session
    from spark_jobs.ingest import ingest
    from spark_jobs.slice import slice_dialogues

    archive.unlink(missing_ok=True)
    # It would name each class that no archive can hold.
    quiet = f"-Xlog:cds=off -Xlog:cds+dynamic=off -XX:ArchiveClassesAtExit={archive.absolute()}"
    conf = {**SMALL_QUERIES, "spark.driver.extraJavaOptions": f"{OPTIONS} {quiet}"}
    with tempfile.TemporaryDirectory() as work:
        spark = session.get(SparkSettings(master="local[2]", driver_memory="2g", shuffle_partitions=2, conf=conf))
        warehouse = open_warehouse(spark, Path(work) / "warehouse")
        log = Path(work) / "log.jsonl"
        log.write_bytes(as_line(dialogue("s", "hello")))
        ingest(warehouse, [str(log)], load(None), IngestSettings())
        slice_dialogues(warehouse)
        java = spark.sparkContext._gateway.proc
        spark.stop()
        java.stdin.close()  # what Spark's process ends for
        java.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
