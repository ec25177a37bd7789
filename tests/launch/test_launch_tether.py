"""What a starter started ends when the starter is gone, without a word from it; a job of the launcher does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from l2a.launch.tether import VARIABLE, follow, tether

FOLLOWER = "import time; from l2a.launch.tether import follow; follow(); print('follows', flush=True); time.sleep(60)"
STARTER = f"""
import subprocess, sys, time
from l2a.launch.tether import tether
with tether():
    print(subprocess.Popen([sys.executable, "-c", {FOLLOWER!r}], start_new_session=True).pid, flush=True)
    time.sleep(60)
"""


TASK = """
import time; from l2a.launch.tether import end_with_supervisor
end_with_supervisor(); print("at work", flush=True); time.sleep(60)
"""
SUPERVISOR = f"""
import subprocess, sys, time
task = subprocess.Popen([sys.executable, "-c", {TASK!r}], stdout=subprocess.PIPE, text=True)
task.stdout.readline()
print(task.pid, flush=True)
time.sleep(60)
"""


def gone(process: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False


def test_a_follower_in_a_session_of_its_own_ends_with_its_killed_starter() -> None:
    starter = subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    said = {starter.stdout.readline().strip(), starter.stdout.readline().strip()}
    (follower,) = (int(words) for words in said if words.isdigit())
    assert "follows" in said
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    assert gone(follower, 20)


def test_a_follower_stays_while_its_starter_lives_and_ends_when_the_block_does() -> None:
    with tether():
        follower = subprocess.Popen([sys.executable, "-c", FOLLOWER], stdout=subprocess.PIPE, text=True)
        assert follower.stdout is not None
        assert follower.stdout.readline() == "follows\n"
        assert not gone(follower.pid, 2.5)
    assert follower.wait(20) == 143


@pytest.mark.parametrize(("name", "ends"), [("airflow worker", True), ("somebody's script", False)])
def test_a_task_ends_with_its_killed_supervisor_where_that_is_airflow(name: str, ends: bool) -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, name], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    task = int(supervisor.stdout.readline())
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.wait()
    assert gone(task, 20 if ends else 3) == ends
    if not ends:
        os.kill(task, signal.SIGKILL)


def test_without_a_tether_nobody_follows() -> None:
    assert VARIABLE not in os.environ
    follow()
    with tether():
        assert Path(os.environ[VARIABLE]).exists()
    assert VARIABLE not in os.environ


def test_a_job_of_the_launcher_outlives_what_its_starter_is_tied_to(tmp_path: Path) -> None:
    from l2a.launch.launcher import Launcher
    from l2a.launch.local import LocalRunner

    jobs = Launcher(tmp_path, LocalRunner(), 1)
    with tether():
        jobs.submit("j", [sys.executable, "-c", "import os; print(sorted(n for n in os.environ if 'TETHER' in n))"])
    deadline = time.monotonic() + 20
    while not jobs.status("j").state.over and time.monotonic() < deadline:
        time.sleep(0.1)
    assert jobs.output("j") == "[]"


def test_an_interrupted_job_counts_as_died_and_goes_on(tmp_path: Path) -> None:
    from l2a.launch.launcher import Launcher
    from l2a.launch.local import LocalRunner
    from l2a.launch.record import State

    jobs = Launcher(tmp_path, LocalRunner(), 2)
    jobs.submit("j", ["sleep", "60"])
    assert jobs.interrupt("j").state is State.DIED
    assert jobs.revive("j").starts == 2
    jobs.cancel("j")
