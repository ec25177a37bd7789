"""What `l2a grade` says where there is nothing to grade by."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from click.testing import CliRunner
from helpers import open_warehouse
from metric_rows import fill
from pyspark.sql import SparkSession

from l2a.judge.embedded import JUDGE_VERSION
from l2a.tables.contracts import JUDGES
from spark_jobs.grade import command


def test_a_judge_that_has_extracted_nothing_yet_is_an_error_that_names_the_step_to_run(
    spark: SparkSession, tmp_path: Path
) -> None:
    warehouse = open_warehouse(spark, tmp_path / "warehouse")
    fill(warehouse)
    newer = ("embedded-new", JUDGE_VERSION, "small", 10, "key", dt.datetime.now(dt.UTC))
    warehouse.upsert(JUDGES, spark.createDataFrame([newer], warehouse.read_or_empty(JUDGES).schema))
    done = CliRunner().invoke(command, ["--warehouse", warehouse.root])
    assert done.exit_code == 2, done.stderr
    assert "no objectives by embedded-new" in done.stderr
    assert "l2a extract" in done.stderr
