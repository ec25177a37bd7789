"""Spark's settings in tests: many small queries, most of them run once."""

from __future__ import annotations

from pathlib import Path

ARCHIVE = Path(__file__).resolve().parents[1] / ".venv" / "spark-classes.jsa"
"""What `class_archive.py` wrote, where it did; Java takes no archive that does not fit its classes."""

OPTIONS = "-XX:+UseSerialGC -XX:ReservedCodeCacheSize=512m -Duser.timezone=UTC"
_FASTER = f"{OPTIONS} -XX:SharedArchiveFile={ARCHIVE}" if ARCHIVE.is_file() else OPTIONS

JVM = {"spark.driver.extraJavaOptions": f"{_FASTER} -XX:TieredStopAtLevel=1"}
"""For the command line's own processes: compilation that optimises would cost them more than it saves."""

SMALL_QUERIES = {
    # This process lives for minutes, in which the optimised planner pays.
    "spark.driver.extraJavaOptions": _FASTER,
    # Code for each query does not, nor do plans that change on the way; processes of the command line have both.
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
"""For the test process's own session."""
