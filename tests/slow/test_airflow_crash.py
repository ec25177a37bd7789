"""A real Airflow that is killed while a training runs: when it is back, it finds the training and goes on.

Steps and training are programs that do nothing, so that only Airflow and the launcher are looked at.
"""

from __future__ import annotations

import datetime as dt
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from whole_tables import table

from dags.common.standalone import Airflow, airflow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

NIGHT = "2026-11-20"
AT = dt.datetime(2026, 11, 21, 2, 0, tzinfo=dt.UTC)
LONGEST_SECONDS = 900


def write_tables(warehouse: Path) -> None:
    """A night that is whole, with enough usable turns to train on."""
    source = f"file:/landing/dt={NIGHT}/part-0.jsonl"
    run = {"run_id": "r-1", "step": "ingest", "started_at": AT, "status": "ok", "rows_in": 5, "rows_new": 5}
    extracted = {**run, "run_id": "r-2", "step": "extract", "subject": "j-1", "rows_new": None}
    table(warehouse, "sources", {"path": source, "size_bytes": 1, "modified_at": AT, "mapping": "m", "run_id": "r-1"})
    table(warehouse, "runs", run, extracted)
    sessions = [f"s-{number}" for number in range(5)]
    table(warehouse, "dialogues", *({"session_id": s, "dialogue_version": "v", "source": source} for s in sessions))
    turn = {"turn": 1, "is_final": True, "dialogue_version": "v", "split": "train"}
    table(warehouse, "turns", *({"session_id": session, **turn} for session in sessions))
    objective = {"turn": 1, "dialogue_version": "v", "extractor": "j-1", "status": "ok"}
    table(warehouse, "objectives", *({"session_id": session, **objective} for session in sessions))


def environment(folder: Path) -> dict[str, str]:
    """Settings under which spark-submit does nothing, and a training is a job that waits for a file."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "spark-submit").write_text("#!/bin/sh\nexit 0\n")
    (programs / "train").write_text(
        f"#!/bin/sh\necho started >> {folder}/trainings\nwhile [ ! -e {folder}/trained ]; do sleep 0.2; done\n"
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    # As over ssh: the other side keeps the job by a launcher of its own.
    l2a, there = f"env L2A_LAUNCHER__KIND=local {sys.executable} -m l2a.cli job", f"--warehouse {folder}/elsewhere"
    return {
        "PATH": os.pathsep.join((str(programs), str(Path(sys.executable).parent), os.environ["PATH"])),
        "L2A_WAREHOUSE": str(folder / "warehouse"),
        "L2A_NIGHTLY__LANDING": "/landing",
        "L2A_NIGHTLY__SCHEDULE": "0 0 1 1 *",
        "L2A_RETRAIN__MIN_NEW_TURNS": "5",
        "L2A_RETRAIN__POLL_SECONDS": "2",
        "L2A_LAUNCHER__KIND": "command",
        "L2A_LAUNCHER__SUBMIT": f"{l2a} submit {{name}} {there} -- {programs}/train",
        "L2A_LAUNCHER__STATUS": f"{l2a} status {{name}} {there}",
        "L2A_LAUNCHER__CANCEL": f"{l2a} cancel {{name}} {there}",
    }


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def states(running: Airflow, dag: str) -> dict[str, str]:
    """State by task of the DAG's only run; empty while it has none."""
    runs = running.ask("GET", f"/api/v2/dags/{dag}/dagRuns")["dag_runs"]
    assert len(runs) < 2
    found = [
        running.ask("GET", f"/api/v2/dags/{dag}/dagRuns/{run['dag_run_id']}/taskInstances")["task_instances"]
        for run in runs
    ]
    return {f"{task['task_id']}[{task['map_index']}]": task["state"] for tasks in found for task in tasks}


def test_an_airflow_that_was_killed_finds_its_training_again_and_goes_on(tmp_path: Path) -> None:
    write_tables(tmp_path / "warehouse")
    more, home = environment(tmp_path), tmp_path / "airflow"
    with airflow(home, free_port(), more) as running:
        until(lambda: running.ask("GET", "/api/v2/dags")["total_entries"] == 4)
        for dag in ("nightly_logs", "retrain"):
            running.ask("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})
        night = {"logical_date": None, "conf": {"date": NIGHT}}
        running.ask("POST", "/api/v2/dags/nightly_logs/dagRuns", night)
        # The night ends green, its asset starts `retrain`, and that waits without a worker's slot.
        until(lambda: states(running, "retrain").get("await[-1]") == "up_for_reschedule")
        assert set(states(running, "nightly_logs").values()) == {"success"}
        os.killpg(running.process.pid, signal.SIGKILL)

    (tmp_path / "trained").touch()
    with airflow(home, free_port(), more) as running:
        until(lambda: states(running, "retrain").get("evaluate[-1]") == "success")
        found = states(running, "retrain")
        assert found["await[-1]"] == found["end_training[-1]"] == "success"
        assert [found[f"{step}[{number}]"] for step in ("rollout", "grade") for number in (0, 1)] == ["success"] * 4
    assert (tmp_path / "trainings").read_text() == "started\n", "one training, however often it was looked for"
