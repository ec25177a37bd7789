"""A job under spark-submit does what the command line does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyspark
import pytest
from command_line import contents, environment, l2a
from helpers import as_line, dialogue

from l2a.tables import jars

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]


def spark_submit(job: str | Path, *arguments: str | Path, **submitted: str) -> subprocess.CompletedProcess[str]:
    program = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    assert jars.remembered(), "a session of the command line resolves Delta's jars and remembers them"
    options = ["--master", "local[2]", "--driver-memory", "1g", "--jars", ",".join(jars.remembered())]
    options += [word for key, value in submitted.items() for word in ("--conf", f"{key}={value}")]
    command = [str(program), *options, str(ROOT / "spark_jobs" / job), *map(str, arguments)]
    python = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    # spark-submit passes a job's standard error on as its own standard output.
    return subprocess.run(
        command, env=environment(**python), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


def test_a_submitted_job_writes_its_table_and_ends_well(tmp_path: Path) -> None:
    log, warehouse = tmp_path / "log.jsonl", tmp_path / "warehouse"
    lines = [dialogue("s-1"), dialogue("s-2", "你好 👋", "怎么了？", "卡丢了")]
    log.write_bytes(b"".join(as_line(line) + b"\n" for line in lines))
    l2a("ingest", log, "--warehouse", warehouse)

    done = spark_submit("slice.py", "--warehouse", warehouse)

    assert done.returncode == 0, done.stdout
    found = [row[:4] for row in contents(warehouse)["turns"]]
    assert found == [("s-1", 1, False, 1), ("s-1", 2, True, 3), ("s-2", 1, False, 1), ("s-2", 2, True, 3)]
    again = spark_submit("slice.py", "--warehouse", warehouse)
    assert again.returncode == 0
    assert "nothing new, nothing to do" in again.stdout


SHOWN = """
import sys
from l2a.settings import load
from spark_jobs import session
ours = session.get(load(sys.argv[1]).spark)
for name in ("spark.sql.files.maxPartitionBytes", "spark.sql.session.timeZone", "spark.sql.extensions",
             "spark.sql.files.maxRecordsPerFile"):
    print(name, ours.conf.get(name))
hadoop = ours.sparkContext._jsc.hadoopConfiguration()
print("in Hadoop:", *(hadoop.get(f"fs.azure.account.key.{{account}}") for account in ("ours", "theirs")))
ours.range(3).write.format("delta").save({folder!r})
"""


def test_the_submitted_configuration_wins_but_for_what_answers_depend_on(tmp_path: Path) -> None:
    job = tmp_path / "job.py"
    job.write_text(SHOWN.format(folder=str(tmp_path / "table")))
    submitted = {
        "spark.sql.files.maxPartitionBytes": "64m",
        "spark.sql.session.timeZone": "Asia/Tokyo",
        "spark.sql.extensions": "org.example.Theirs",  # Spark warns of one that it cannot find, and goes on
    }
    key = "spark.hadoop.fs.azure.account.key."
    submitted[f"{key}theirs"] = "as-submitted"
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[spark.conf]\n"{key}ours" = "as-set"\n"{key}theirs" = "as-set"\n"spark.some.name" = "x"\n')
    done = spark_submit(job, settings, **submitted)
    assert done.returncode == 0, done.stdout
    assert "in Hadoop: as-set as-submitted" in done.stdout
    assert "spark.sql.files.maxPartitionBytes 64m" in done.stdout
    assert "spark.sql.session.timeZone UTC" in done.stdout
    assert "spark.sql.extensions org.example.Theirs,io.delta.sql.DeltaSparkSessionExtension" in done.stdout
    assert "spark.sql.files.maxRecordsPerFile 100000" in done.stdout


def test_a_submitted_job_that_cannot_work_says_why_and_fails(tmp_path: Path) -> None:
    done = spark_submit("slice.py", "--warehouse", tmp_path)
    assert done.returncode == 1
    assert "has no table dialogues yet: run `l2a ingest PATH` first" in done.stdout
