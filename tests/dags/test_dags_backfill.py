"""The backfills that the documents say to type, read by Airflow itself: which nights come of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow_runs import ROOT, environment

READ = f"""
import json, shlex, sys
from airflow.cli.cli_parser import get_parser
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
bag = DagBag({str(ROOT / "dags")!r})
found = []
for line in json.loads(sys.argv[1]):
    asked = get_parser().parse_args(shlex.split(line)[1:])
    # What the scheduler has of a DAG is what was serialized, and that is what makes a backfill's runs.
    dag = DagSerialization.from_dict(DagSerialization.to_dict(bag.dags[asked.dag_id]))
    runs = dag.iter_dagrun_infos_between(asked.from_date, asked.to_date)
    nights = [run.data_interval.start.strftime("%Y-%m-%d") for run in runs]
    found.append({{"nights": nights, "again": asked.reprocess_behavior}})
print("RESULT " + json.dumps(found))
"""


def documented() -> list[str]:
    """The lines of the operations' document, then of the DAG's page."""
    texts = [(ROOT / path).read_text(encoding="utf-8") for path in ("docs/operations.md", "dags/nightly_logs.py")]
    return [line for text in texts for line in re.findall(r"airflow backfill create [^`\n]+", text)]


@pytest.fixture(scope="module")
def backfills(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    home: Path = tmp_path_factory.mktemp("backfill")
    done = subprocess.run(
        [sys.executable, "-c", READ, json.dumps(documented())],
        env=environment(home), cwd=home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(results[0].removeprefix("RESULT "))
    return found


def test_a_backfill_as_documented_takes_its_last_night_too(backfills: list[dict[str, Any]]) -> None:
    ten = [f"2026-11-{day:02d}" for day in range(1, 11)]
    assert [found["nights"] for found in backfills] == [ten] * 3


def test_nights_that_were_taken_before_have_a_command_that_takes_them_again(backfills: list[dict[str, Any]]) -> None:
    assert [found["again"] for found in backfills] == [None, "completed", None]
