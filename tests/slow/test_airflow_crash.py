"""A real Airflow that is killed while a training runs: when it is back, it finds the training and goes on.

Steps and training are programs that do nothing, so that only Airflow and the launcher are looked at.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from standalone import free_port, states, take_night, unpause, until
from whole_tables import table

from dags.common.standalone import Airflow, airflow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

NIGHT = "2026-11-20"
AT = dt.datetime(2026, 11, 21, 2, 0, tzinfo=dt.UTC)
LONGEST_SECONDS = 900
SECRET = "a-key-of-theirs"


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
        "L2A_SPARK__CONF": json.dumps({"spark.hadoop.fs.azure.account.key.logs": SECRET}),
        "L2A_NIGHTLY__LANDING": "/landing",
        "L2A_NIGHTLY__SCHEDULE": "0 0 1 1 *",
        "L2A_RETRAIN__MIN_NEW_TURNS": "5",
        "L2A_RETRAIN__POLL_SECONDS": "2",
        "L2A_LAUNCHER__KIND": "command",
        "L2A_LAUNCHER__SUBMIT": f"{l2a} submit {{name}} {there} -- {programs}/train",
        "L2A_LAUNCHER__STATUS": f"{l2a} status {{name}} {there}",
        "L2A_LAUNCHER__CANCEL": f"{l2a} cancel {{name}} {there}",
    }


def retraining(running: Airflow) -> dict[str, str]:
    """State by task of the only run of `retrain`; empty while it has none."""
    runs = running.ask("GET", "/api/v2/dags/retrain/dagRuns")["dag_runs"]
    assert len(runs) < 2
    return states(running, "retrain", runs[0]["dag_run_id"]) if runs else {}


def test_an_airflow_that_was_killed_finds_its_training_again_and_goes_on(tmp_path: Path) -> None:
    write_tables(tmp_path / "warehouse")
    more, home = environment(tmp_path), tmp_path / "airflow"
    with airflow(home, free_port(), more) as running:
        unpause(running, "nightly_logs", "retrain")
        night = take_night(running, NIGHT)
        # The night ends green, its asset starts `retrain`, and that waits without a worker's slot.
        until(lambda: retraining(running).get("await") == "up_for_reschedule", LONGEST_SECONDS)
        assert set(states(running, "nightly_logs", night).values()) == {"success"}
        os.killpg(running.process.pid, signal.SIGKILL)

    (tmp_path / "trained").touch()
    with airflow(home, free_port(), more) as running:
        until(lambda: retraining(running).get("evaluate") == "success", LONGEST_SECONDS)
        found = retraining(running)
        assert found["await"] == found["end_training"] == "success"
        assert [found[f"{step}[{number}]"] for step in ("rollout", "grade") for number in (0, 1)] == ["success"] * 4
    assert (tmp_path / "trainings").read_text() == "started\n", "one training, however often it was looked for"
    tells_no_secret(home)


def tells_no_secret(home: Path) -> None:
    """Neither the logs nor the database of Airflow, in which its DAGs are."""
    said = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert any(b"Spark-Submit cmd" in text for text in said.values())
    assert [path for path, text in said.items() if SECRET.encode() in text] == []
