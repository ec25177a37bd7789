"""What tests of a real Airflow share: a port, its processes, waiting, and where its tasks stand."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dags.common.standalone import Airflow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(1)


def processes_of(home: Path) -> dict[int, str]:
    """Command line by process id of all processes that have this AIRFLOW_HOME, in whatever group they are."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"AIRFLOW_HOME={home}\0".encode() in (process / "environ").read_bytes():
                found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ").strip()
        except OSError:
            continue
    return {pid: words for pid, words in found.items() if words}


def unpause(running: Airflow, *dags: str) -> None:
    """Waits until Airflow knows all of its DAGs, and lets these run."""
    until(lambda: running.ask("GET", "/api/v2/dags")["total_entries"] == 4, 120)
    for dag in dags:
        running.ask("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})


def take_night(running: Airflow, night: str) -> str:
    """Starts `nightly_logs` for a night; the run's id."""
    asked = {"logical_date": None, "conf": {"date": night}}
    return str(running.ask("POST", "/api/v2/dags/nightly_logs/dagRuns", asked)["dag_run_id"])


def tasks(running: Airflow, dag: str, run: str) -> list[dict[str, Any]]:
    """The task instances of a DAG's run."""
    found: list[dict[str, Any]] = running.ask("GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances")[
        "task_instances"
    ]
    return found


def states(running: Airflow, dag: str, run: str) -> dict[str, str]:
    """State by task; a mapped one's name ends with its number."""
    return {
        task["task_id"] + (f"[{task['map_index']}]" if task["map_index"] >= 0 else ""): task["state"]
        for task in tasks(running, dag, run)
    }


def ended(running: Airflow, dag: str, run: str, seconds: float) -> str:
    """Waits for the end of a run; its state."""

    def state() -> str:
        return str(running.ask("GET", f"/api/v2/dags/{dag}/dagRuns/{run}")["state"])

    until(lambda: state() in ("success", "failed"), seconds)
    return state()
