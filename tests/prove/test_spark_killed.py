"""Each step of a night loses its JVM in the middle, under a real Airflow: the night ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from command_line import SMALL, contents, l2a
from standalone import ended, free_port, processes_of, take_night, tasks, unpause, until

from dags.common.standalone import airflow

pytestmark = [pytest.mark.prove, pytest.mark.timeout(3600)]

NIGHT = "2026-11-20"
STEPS = ("ingest", "slice", "extract")
LONGEST_SECONDS = 1500


def jvm(home: Path, step: str) -> int | None:
    """The process id of the step's Spark driver, while it has one."""
    found = [
        pid
        for pid, words in processes_of(home).items()
        if words.split()[0].endswith("java") and f"/spark_jobs/{step}.py" in words
    ]
    return found[0] if found else None


def test_a_night_whose_jvm_is_killed_in_every_step_ends_in_the_tables_of_a_quiet_one(tmp_path: Path) -> None:
    landing, home, killed, quiet = (tmp_path / name for name in ("landing", "airflow", "killed", "quiet"))
    l2a("synth", "--nights", "1", "--dialogues", "300", "--seed", "3", "--landing", landing, "--start", NIGHT)
    draw = random.Random(7)
    here = {**SMALL, "L2A_WAREHOUSE": str(killed), "L2A_NIGHTLY__LANDING": str(landing)}
    with airflow(home, free_port(), {**here, "L2A_NIGHTLY__SCHEDULE": "0 0 1 1 *"}) as running:
        unpause(running, "nightly_logs")
        night = take_night(running, NIGHT)
        for step in STEPS:
            until(lambda step=step: jvm(home, step), LONGEST_SECONDS)
            seconds = draw.uniform(5, 12)
            time.sleep(seconds)
            victim = jvm(home, step)
            assert victim, f"{step} ended within {seconds:.0f} s"
            os.kill(victim, signal.SIGKILL)
            print(f"{step}: killed after {seconds:.1f} s")
        assert ended(running, "nightly_logs", night, LONGEST_SECONDS) == "success"
        tries = {task["task_id"]: task["try_number"] for task in tasks(running, "nightly_logs", night)}
        assert tries == {**dict.fromkeys(STEPS, 2), "check": 1}
    until(lambda: not processes_of(home), 60)

    for words in (["ingest", landing, "--date", NIGHT, "--max-failed-share", "1"], ["slice"], ["extract"]):
        l2a(*words, "--warehouse", quiet)
    assert contents(killed) == contents(quiet)
