"""Each DAG, run to its end by Airflow itself: order, arguments, what goes red, what is skipped.

spark-submit only writes down how it was called, so the tables are made here; what steps do has tests of its own.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from registered import register, settings_of
from whole_tables import table

from l2a.nightly.retraining import condition_name
from l2a.nightly.training import READS
from l2a.registry import Registry

if TYPE_CHECKING:
    from airflow_runs import Ran

pytestmark = pytest.mark.slow

NIGHT = "2026-11-20"
AT = dt.datetime(2026, 11, 21, 2, 0, tzinfo=dt.UTC)


@pytest.fixture
def landed(tmp_path: Path) -> Callable[..., None]:
    """Writes what an ingestion of the night leaves in `sources` and `runs`."""

    def write(rejected: int = 0, difference: int = 0) -> None:
        root = tmp_path / "warehouse"
        source = {"path": f"file:/landing/dt={NIGHT}/a.jsonl", "size_bytes": 1, "modified_at": AT, "mapping": "native",
                  "run_id": "r-1", "ingested_at": AT}  # fmt: skip
        run = {"run_id": "r-1", "step": "ingest", "started_at": AT, "seconds": 1.0, "status": "ok", "rows_in": 10,
               "rows_new": 10 - rejected - difference, "rows_quarantined": rejected}  # fmt: skip
        write_deltalake(str(root / "sources"), pa.Table.from_pylist([source]))
        write_deltalake(str(root / "runs"), pa.Table.from_pylist([run]))

    return write


def steps(ran: Ran) -> list[str]:
    return [Path(words[0]).stem for words in ran.submitted]


def test_a_night_is_ingested_sliced_extracted_and_checked(
    run_dag: Callable[..., Ran], landed: Callable[..., None], tmp_path: Path
) -> None:
    landed()
    ran = run_dag("nightly_logs", {"date": NIGHT}, L2A_NIGHTLY__LANDING="s3://logs/landing")
    assert ran.state == "success", ran.said[-4000:]
    assert steps(ran) == ["ingest", "slice", "extract"]
    warehouse = ["--warehouse", str(tmp_path / "warehouse")]
    assert ran.submitted[0][1:] == [
        "s3://logs/landing", "--date", NIGHT, "--max-failed-share", "1", *warehouse
    ]  # fmt: skip
    assert ran.submitted[1][1:] == warehouse
    assert ran.submitted[2][1:] == ["--max-failed-share", "1", *warehouse]


def test_a_night_with_too_many_rejected_lines_goes_red_after_all_of_it_is_in(
    run_dag: Callable[..., Ran], landed: Callable[..., None]
) -> None:
    landed(rejected=4)
    ran = run_dag("nightly_logs", {"date": NIGHT})
    assert steps(ran) == ["ingest", "slice", "extract"]
    assert (ran.state, ran.tasks["check"]) == ("failed", "failed")
    assert "4 of 10 (40.0%)" in ran.said
    assert f"what to type: l2a check --date {NIGHT} --warehouse" in ran.said
    assert "quarantine_reasons" in ran.said


def test_a_step_that_fails_says_what_is_left_what_to_run_and_where_the_log_is(
    run_dag: Callable[..., Ran], landed: Callable[..., None]
) -> None:
    landed()
    ran = run_dag("nightly_logs", {"date": NIGHT}, TEST_FAILING="slice.py")
    assert ran.tasks["extract"] != "success"
    assert "what to type: l2a slice --warehouse" in ran.said
    assert "dialogues are not sliced" in ran.said


def test_nothing_is_trained_where_too_little_has_come(run_dag: Callable[..., Ran], landed: Callable[..., None]) -> None:
    landed()
    ran = run_dag("retrain")
    assert ran.state == "success", ran.said[-4000:]
    assert "not due: 0 usable turns and no grpo trained yet" in ran.said
    assert ran.tasks["submit"] == "skipped"
    assert ran.submitted == []


def test_a_training_that_failed_says_where_its_last_words_are(
    run_dag: Callable[..., Ran], landed: Callable[..., None], tmp_path: Path
) -> None:
    landed()
    for name in READS:
        table(tmp_path / "warehouse", name, {"session_id": "s"})
    elsewhere = {"KIND": "command", "SUBMIT": "true", "STATUS": "echo FAILED", "CANCEL": "true", "LOGS": "echo no gpu"}
    ran = run_dag("retrain", {"force": True}, **{f"L2A_LAUNCHER__{name}": words for name, words in elsewhere.items()})
    assert (ran.tasks["await"], ran.tasks["rollout"]) == ("failed", "upstream_failed"), ran.said[-4000:]
    condition = condition_name("grpo", dt.datetime.now(dt.UTC).date(), set())
    assert f"what to type: l2a job logs {condition} --warehouse" in ran.said


def test_every_condition_is_measured_by_itself_and_one_that_fails_stops_no_other(
    run_dag: Callable[..., Ran], landed: Callable[..., None]
) -> None:
    landed()
    ran = run_dag("evaluate_conditions", {"conditions": ["good", "bad"]}, TEST_FAILING="rollout.py --condition bad")
    assert ran.tasks["measure.grade[0]"] == "success"
    assert ran.tasks["evaluate"] == "success"
    assert ran.state == "failed"
    assert "evaluate" in steps(ran)
    assert "what to type: l2a rollout --condition bad --warehouse" in ran.said


def test_the_champion_is_measured_too_and_the_others_are_compared_with_it(
    run_dag: Callable[..., Ran], landed: Callable[..., None], tmp_path: Path
) -> None:
    landed()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_text("weights")
    register(tmp_path / "warehouse", "grpo", tmp_path / "model")
    registry = Registry.open(settings_of(tmp_path / "warehouse"))
    version = registry.newest("grpo")
    assert version is not None
    registry.crown(version, "somebody", "the first")
    ran = run_dag("evaluate_conditions", {"conditions": ["good"]})
    assert ran.state == "success", ran.said[-4000:]
    rolled_out = {words[2] for words in ran.submitted if Path(words[0]).stem == "rollout"}
    assert rolled_out == {"good", "champion"}
    evaluated = next(words for words in ran.submitted if Path(words[0]).stem == "evaluate")
    assert evaluated[1:3] == ["--baseline", "champion"]


def test_maintenance_runs_all_its_parts_with_sparks_settings_but_its_secrets(run_dag: Callable[..., Ran]) -> None:
    given = {"spark.hadoop.fs.azure.account.key.logs": "a-key-of-theirs", "spark.eventLog.enabled": "true"}
    ran = run_dag("maintenance", L2A_SPARK__CONF=json.dumps(given))
    assert ran.state == "success", ran.said[-4000:]
    assert ran.submitted and all("spark.eventLog.enabled=true" in words for words in ran.options)
    assert "a-key-of-theirs" not in ran.said + repr((ran.options, ran.submitted)), "the driver reads it by itself"
    parts = {words[words.index("--only") + 1] for words in ran.submitted}
    assert parts == {"optimize", "vacuum", "clean", "contracts", "reconcile"}
