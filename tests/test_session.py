"""A session of our own inside one that exists changes nothing there, and what is missing is said in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from l2a.errors import EnvironmentProblem, UsageError
from l2a.settings import SparkSettings


def configuration(session: Any) -> dict[str, str]:
    return {row["key"]: row["value"] for row in session.sql("SET").collect()}


def test_inside_an_existing_session_nothing_global_changes(spark) -> None:
    from pyspark.sql import SparkSession

    from spark_jobs import session

    theirs = spark.newSession()
    theirs.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    theirs.conf.set("spark.sql.ansi.enabled", "false")
    theirs.conf.set("spark.sql.shuffle.partitions", "77")
    theirs.createDataFrame([(1,)], "n int").createOrReplaceTempView("their_view")
    before, context = configuration(theirs), dict(theirs.sparkContext.getConf().getAll())
    active = SparkSession.getActiveSession()

    ours = session.get(SparkSettings(master="local[7]", shuffle_partitions=3))
    assert ours.conf.get("spark.sql.session.timeZone") == "UTC"
    ours.createDataFrame([(1,)], "n int").createOrReplaceTempView("our_view")

    assert configuration(theirs) == before
    assert dict(theirs.sparkContext.getConf().getAll()) == context
    assert ours.sparkContext is theirs.sparkContext
    assert SparkSession.getActiveSession() is active
    assert [table.name for table in theirs.catalog.listTables()] == ["their_view"]
    assert [table.name for table in ours.catalog.listTables()] == ["our_view"]


def test_a_session_without_delta_is_refused_with_what_to_add(spark, monkeypatch) -> None:
    from spark_jobs import session

    monkeypatch.setattr(session, "DELTA_EXTENSION", "some.other.Extension")
    with pytest.raises(EnvironmentProblem, match=r"knows no Delta tables.*io\.delta:delta-spark_4\.2_2\.13:4\.4\.0"):
        session.get(SparkSettings())


def test_a_folder_of_jars_is_used_or_said_to_hold_none(tmp_path: Path) -> None:
    from spark_jobs.session import _jars

    with pytest.raises(UsageError, match=r"setting spark\.jars: the folder .* holds no delta-spark jar"):
        _jars(SparkSettings(jars=str(tmp_path)))
    for name in ("delta-spark_4.2_2.13-4.4.0.jar", "delta-storage-4.4.0.jar"):
        (tmp_path / name).touch()
    found = _jars(SparkSettings(jars=str(tmp_path)))
    assert found == {"spark.jars": f"{tmp_path}/delta-spark_4.2_2.13-4.4.0.jar,{tmp_path}/delta-storage-4.4.0.jar"}


def test_jars_are_asked_of_maven_once_and_again_when_they_are_gone(tmp_path: Path, monkeypatch) -> None:
    from spark_jobs import session

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "spark.jars.packages" in session._jars(SparkSettings())
    jar = tmp_path / "delta.jar"
    jar.touch()
    session.jar_memory().parent.mkdir(parents=True)
    session.jar_memory().write_text(str(jar))
    assert session._jars(SparkSettings()) == {"spark.jars": str(jar)}
    jar.unlink()
    assert "spark.jars.packages" in session._jars(SparkSettings())


STARTS = {
    "JAVA_HOME is not set": "Spark needs Java 17 or 21 and found none",
    "java.lang.UnsupportedClassVersionError: org/apache": "this one is older",
    ":: UNRESOLVED DEPENDENCIES ::": r"Delta's jars \(io\.delta:.*\) could not be resolved",
    "download failed: io.delta": "poison",
    "No space left on device": "the disk is full",
    "something else": "Spark could not start: Java gateway process exited",
}


@pytest.mark.parametrize("log", STARTS)
def test_a_start_that_failed_is_explained(log: str, tmp_path: Path) -> None:
    import re

    from spark_jobs.session import _why_not

    (tmp_path / "spark.log").write_text(f"some words before\n{log}\n")
    said = _why_not(tmp_path / "spark.log", RuntimeError("Java gateway process exited\nmore"))
    assert re.search(STARTS[log], said)
