"""A session of our own inside one that exists changes nothing there, and what is missing is said in a sentence."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_spark import JVM

from l2a.errors import EnvironmentProblem, UsageError
from l2a.settings import SparkSettings
from l2a.tables import jars


def configuration(session: Any) -> dict[str, str]:
    return {row["key"]: row["value"] for row in session.sql("SET").collect()}


def test_inside_an_existing_session_nothing_global_changes(spark, tmp_path: Path) -> None:
    from click.testing import CliRunner
    from pyspark.sql import SparkSession

    from spark_jobs.session import get, make_active
    from spark_jobs.slice import command

    theirs = spark.newSession()
    theirs.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    theirs.conf.set("spark.sql.ansi.enabled", "false")
    theirs.conf.set("spark.sql.shuffle.partitions", "77")
    theirs.createDataFrame([(1,)], "n int").createOrReplaceTempView("their_view")
    before, context = configuration(theirs), dict(theirs.sparkContext.getConf().getAll())
    try:
        ran = CliRunner().invoke(command, ["--warehouse", str(tmp_path / "empty")])
        assert (ran.exit_code, "has no table dialogues yet: run `l2a ingest PATH` first" in ran.output) == (1, True)
        active = SparkSession.getActiveSession()
        assert active is not None
        assert active._jsparkSession.equals(theirs._jsparkSession)
        assert configuration(theirs) == before

        ours = get(SparkSettings(master="local[7]", shuffle_partitions=3))
        assert ours.conf.get("spark.sql.session.timeZone") == "UTC"
        ours.createDataFrame([(1,)], "n int").createOrReplaceTempView("our_view")
        assert configuration(theirs) == before
        assert dict(theirs.sparkContext.getConf().getAll()) == context
        assert ours.sparkContext is theirs.sparkContext
        assert [row["tableName"] for row in theirs.sql("SHOW TABLES").collect()] == ["their_view"]
        assert [row["tableName"] for row in ours.sql("SHOW TABLES").collect()] == ["our_view"]
    finally:
        make_active(spark)


def test_a_session_without_delta_is_refused_with_what_to_add(spark, monkeypatch) -> None:
    from spark_jobs import session

    monkeypatch.setattr(session, "DELTA_EXTENSION", "some.other.Extension")
    with pytest.raises(EnvironmentProblem, match=r"knows no Delta tables.*io\.delta:delta-spark_4\.2_2\.13:4\.4\.0"):
        session.get(SparkSettings())


def test_a_folder_of_jars_is_used_or_said_to_hold_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"setting \[spark\] jars: the folder .* holds no delta-spark jar"):
        jars.configuration(SparkSettings(jars=str(tmp_path)))
    for name in ("delta-spark_4.2_2.13-4.4.0.jar", "delta-storage-4.4.0.jar"):
        (tmp_path / name).touch()
    found = jars.configuration(SparkSettings(jars=str(tmp_path)))
    assert found == {"spark.jars": f"{tmp_path}/delta-spark_4.2_2.13-4.4.0.jar,{tmp_path}/delta-storage-4.4.0.jar"}


def test_jars_are_asked_of_maven_once_and_again_when_they_are_gone(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "spark.jars.packages" in jars.configuration(SparkSettings())
    jar = tmp_path / "delta.jar"
    jar.touch()
    jars.remember(f"file://{jar}")
    assert jars.configuration(SparkSettings()) == {"spark.jars": str(jar)}
    assert "spark.jars.packages" in jars.configuration(SparkSettings(ivy="/elsewhere"))
    jar.unlink()
    assert "spark.jars.packages" in jars.configuration(SparkSettings())


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
    from spark_jobs.session import _why_not

    (tmp_path / "spark.log").write_text(f"some words before\n{log}\n")
    said = _why_not(tmp_path / "spark.log", 0, RuntimeError("Java gateway process exited\nmore"))
    assert re.search(STARTS[log], said)


def start(folder: Path, *lines: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process that starts Spark with its log in the temporary folder, which is `folder`."""
    lines = ("from l2a.settings import SparkSettings", "from spark_jobs import session", *lines)
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        env={**os.environ, "TMPDIR": str(folder), **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


START = f"spark = session.get(SparkSettings(master='local[1]', driver_memory='1g', conf={JVM!r}))"


def test_a_log_stays_only_where_something_failed(tmp_path: Path) -> None:
    done = start(tmp_path, START, "print(spark.range(3).count())")
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    assert list(tmp_path.glob("l2a-spark-*")) == []
    assert start(tmp_path, START, "raise ValueError('of a step')").returncode == 1
    (log,) = tmp_path.glob("l2a-spark-*")
    log.unlink()
    done = start(tmp_path, START, JAVA_HOME=str(tmp_path))
    (log,) = tmp_path.glob("l2a-spark-*")
    assert f"Details: {log}" in done.stderr


def test_a_start_that_failed_is_not_explained_by_what_an_earlier_one_said(tmp_path: Path) -> None:
    log = tmp_path / "spark.log"
    log.write_text("No space left on device\n")
    settings = f"SparkSettings(master='local[1]', log={str(log)!r})"
    done = start(tmp_path, f"session.get({settings})", JAVA_HOME=str(tmp_path))
    assert "Spark could not start: " in done.stderr and "disk is full" not in done.stderr
    assert log.read_text().startswith("No space left on device\n")


def test_the_end_of_java_is_said_whichever_way_a_call_learns_of_it(tmp_path: Path) -> None:
    """A call learns of it by a refused connection, by one that breaks, or by an answer without content."""
    done = start(
        tmp_path, START,
        "import time",
        "from concurrent.futures import ThreadPoolExecutor",
        "from l2a.errors import EnvironmentProblem",
        "from spark_jobs.progress import shown",
        "tracker = spark.sparkContext.statusTracker()",
        "def until_it_ends(_):",
        "    try:",
        "        while True:",
        "            tracker.getActiveStageIds()",
        "    except Exception as error:",
        "        try:",
        "            session.check_alive(spark, error)",
        "        except EnvironmentProblem as problem:",
        "            return str(problem).split(',')[0]",
        "        return repr(error)",
        "with shown(spark, 'step'), ThreadPoolExecutor(8) as pool:",
        "    said = pool.map(until_it_ends, range(8))",
        "    time.sleep(1)",
        "    spark.sparkContext._gateway.proc.kill()",
        "    print(set(said))",
    )  # fmt: skip
    assert done.stdout == '{"Spark\'s Java process ended in the middle"}\n', done.stderr
    assert "Traceback" not in done.stderr
