"""The DAGs load without an error, bring in nothing heavy, and have what an operator needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow_runs import ROOT, environment

from dags.common.by_hand import COMMANDS

HEAVY = ("pyspark", "delta", "torch", "trl", "mlflow", "transformers", "sklearn", "pandas", "duckdb", "pyarrow")
LOOK = f"""
import datetime as dt, json, sys, types
from airflow.dag_processing.dagbag import DagBag
bag = DagBag({str(ROOT / "dags")!r})
heavy = [name for name in {HEAVY!r} if name in sys.modules]
nightly = bag.dags.get("nightly_logs")
by_hand = {{"params": {{"date": None}}, "dag_run": types.SimpleNamespace(run_after=dt.datetime(2026, 11, 22, 9))}}
print("RESULT " + json.dumps({{
    "night": nightly and nightly.get_template_env().from_string(
        nightly.get_task("ingest").application_args[2]).render(macros=dt, **by_hand),
    "errors": bag.import_errors, "heavy": heavy,
    "dags": {{dag.dag_id: {{
        "doc": dag.doc_md, "catchup": dag.catchup, "timetable": type(dag.timetable).__name__,
        "tasks": {{task.task_id: {{
            "downstream": sorted(task.downstream_task_ids), "pool": task.pool, "retries": task.retries,
            "timeout": task.execution_timeout and task.execution_timeout.total_seconds(),
            "backoff": task.retry_exponential_backoff, "callback": bool(task.on_failure_callback),
            "teardown": task.is_teardown, "one": task.max_active_tis_per_dag,
            "outlets": [outlet.name for outlet in task.outlets],
        }} for task in dag.tasks}},
    }} for dag in bag.dags.values()}},
}}))
"""


def look(home: Path, **more: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        env=environment(home, **more),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(results[0].removeprefix("RESULT "))
    return found


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return look(tmp_path_factory.mktemp("parse"))


@pytest.fixture(scope="module")
def tasks(bag: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All tasks, by `dag.task`."""
    return {f"{dag_id}.{name}": task for dag_id, dag in bag["dags"].items() for name, task in dag["tasks"].items()}


def test_every_dag_loads_and_brings_in_nothing_heavy(bag: dict[str, Any]) -> None:
    assert bag["errors"] == {}
    assert set(bag["dags"]) == {"nightly_logs", "retrain", "evaluate_conditions", "maintenance"}
    assert bag["heavy"] == []


def test_every_dag_says_what_it_does_and_what_to_do_when_it_is_red(bag: dict[str, Any]) -> None:
    for dag in bag["dags"].values():
        assert "#### When it is red" in dag["doc"]
        assert "backfill" in dag["doc"]


def test_every_task_has_a_time_limit_growing_pauses_and_a_last_word(tasks: dict[str, dict[str, Any]]) -> None:
    for name, task in tasks.items():
        assert task["timeout"], name
        assert task["retries"] >= 2, name
        assert task["backoff"] >= 2, name
        assert task["callback"], name


def test_what_a_person_types_is_known_for_tasks_that_are_there(tasks: dict[str, dict[str, Any]]) -> None:
    assert set(COMMANDS) <= set(tasks)


def test_whatever_may_ask_an_llm_is_in_the_pool(tasks: dict[str, dict[str, Any]]) -> None:
    asking = {name for name, task in tasks.items() if task["pool"] == "llm_endpoints"}
    assert asking == {
        "nightly_logs.extract", "retrain.rollout", "retrain.grade", "evaluate_conditions.measure.rollout",
        "evaluate_conditions.measure.grade",
    }  # fmt: skip


def test_a_step_of_the_nights_never_runs_beside_itself(tasks: dict[str, dict[str, Any]]) -> None:
    assert [tasks[f"nightly_logs.{step}"]["one"] for step in ("ingest", "slice", "extract")] == [1, 1, 1]


def test_only_a_checked_night_and_a_promoted_model_publish_assets(tasks: dict[str, dict[str, Any]]) -> None:
    published = {name: task["outlets"] for name, task in tasks.items() if task["outlets"]}
    assert published == {"nightly_logs.check": ["turns"], "retrain.announce": ["model_promoted"]}


def test_a_training_that_nobody_waits_for_is_ended(tasks: dict[str, dict[str, Any]]) -> None:
    assert tasks["retrain.end_training"]["teardown"]
    assert "end_training" in tasks["retrain.await"]["downstream"]


def test_nights_are_caught_up_only_from_a_first_night(bag: dict[str, Any], tmp_path: Path) -> None:
    assert not bag["dags"]["nightly_logs"]["catchup"]
    assert look(tmp_path, L2A_NIGHTLY__FIRST_NIGHT="2026-11-01")["dags"]["nightly_logs"]["catchup"]


def test_wrong_settings_are_an_error_of_the_dag_that_names_them(tmp_path: Path) -> None:
    errors = look(tmp_path, L2A_NIGHTLY__FIRST_NIGHT="tomorrow")["errors"]
    assert any("nightly.first_night" in error for error in errors.values())


def test_a_night_that_is_triggered_without_a_date_is_yesterday(bag) -> None:
    assert bag["night"] == "2026-11-21"
