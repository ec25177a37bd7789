"""A real Airflow: nights by the REST API, a training by the asset, and nothing left when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import l2a
from standalone import ended, free_port, processes_of, states, take_night, unpause, until

from dags.common.standalone import Airflow, airflow
from l2a.sql.engine import connect, query

pytestmark = [pytest.mark.prove, pytest.mark.timeout(3000)]

NIGHTS = ("2026-11-01", "2026-11-02")
LONGEST_SECONDS = 1500


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    l2a("synth", "--nights", str(len(NIGHTS)), "--dialogues", "60", "--seed", "3", "--landing", tmp_path / "landing",
        "--start", NIGHTS[0])  # fmt: skip
    return tmp_path


@pytest.fixture
def running(folder: Path) -> Iterator[Airflow]:
    here = {
        "L2A_WAREHOUSE": str(folder / "warehouse"),
        "L2A_NIGHTLY__LANDING": str(folder / "landing"),
        # Nights are triggered here; no night of its own comes between.
        "L2A_NIGHTLY__SCHEDULE": "0 0 1 1 *",
        "L2A_RETRAIN__RECIPE": "ci",
        "L2A_RETRAIN__MIN_NEW_TURNS": "100",
        "L2A_RETRAIN__POLL_SECONDS": "2",
        "L2A_EVALUATE__SAMPLES": "1",
        "L2A_EVALUATE__REPLICATES": "100",
    }
    with airflow(folder / "airflow", free_port(), here) as started:
        yield started
    # A task that was under way ends within seconds of its Airflow.
    until(lambda: not processes_of(folder / "airflow"), 60)


def one(folder: Path, sql: str) -> Any:
    return next(iter(query(connect(str(folder / "warehouse")), sql).rows))[0]


def test_nights_by_the_api_end_green_and_the_asset_starts_a_training(running: Airflow, folder: Path) -> None:
    assert running.ask("GET", "/api/v2/importErrors")["total_entries"] == 0
    unpause(running, "nightly_logs", "retrain")

    first = take_night(running, NIGHTS[0])
    assert ended(running, "nightly_logs", first, LONGEST_SECONDS) == "success", states(running, "nightly_logs", first)
    assert one(folder, "SELECT lines FROM night_intake") == 60

    def by_asset() -> list[dict[str, Any]]:
        runs = running.ask("GET", "/api/v2/dags/retrain/dagRuns")["dag_runs"]
        return [run for run in runs if run["run_type"] == "asset_triggered"]

    until(lambda: bool(by_asset()), 120)
    training = by_asset()[0]["dag_run_id"]
    assert ended(running, "retrain", training, LONGEST_SECONDS) == "success", states(running, "retrain", training)
    condition = one(folder, "SELECT condition FROM trainings")
    assert condition.startswith("grpo-2")
    assert one(folder, f"SELECT count(*) FROM metric_history WHERE condition = '{condition}'") == 7
    assert states(running, "retrain", training)["end_training"] == "success"

    # The next night is not enough to train again so soon.
    second = take_night(running, NIGHTS[1])
    assert ended(running, "nightly_logs", second, LONGEST_SECONDS) == "success"
    until(lambda: len(by_asset()) == 2, 120)
    later = max(by_asset(), key=lambda run: str(run["run_after"]))["dag_run_id"]
    assert ended(running, "retrain", later, LONGEST_SECONDS) == "success"
    assert states(running, "retrain", later)["submit"] == "skipped"
    assert one(folder, "SELECT count(*) FROM trainings") == 1
