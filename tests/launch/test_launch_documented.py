"""The launcher's commands as docs/operations.md gives them, run as they stand: here `ssh` is a program that runs its
words in a shell of this machine, as sshd does there. Both sides share the folder of trainings, as the page asks.
"""

from __future__ import annotations

import os
import re
import sys
import time
import tomllib
from pathlib import Path

import pytest

from l2a.launch.elsewhere import CommandRunner
from l2a.launch.launcher import Launcher, launcher
from l2a.launch.record import State
from l2a.settings import LauncherSettings, load

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
SSH = """#!/bin/sh
shift
exec sh -c "$*"
"""


def documented(word: str) -> LauncherSettings:
    """The launcher of the block that holds this word."""
    blocks = re.findall(r"```toml\n(.*?)```", OPERATIONS.read_text(encoding="utf-8"), re.DOTALL)
    (found,) = [block for block in blocks if word in block]
    return LauncherSettings(**tomllib.loads(found)["launcher"])


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launcher:
    """Jobs on the GPU host of the documented settings."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("ssh", SSH), ("l2a", _l2a())):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("L2A_WAREHOUSE", str(tmp_path / "warehouse"))
    return launcher(load(None, {"launcher": documented("ssh gpu").model_dump()}))


def _l2a() -> str:
    return f'#!/bin/sh\nexec {sys.executable} -m l2a.cli "$@"\n'


def ended(jobs: Launcher) -> State:
    for _ in range(60):
        if (state := jobs.status("j").state).over:
            return state
        time.sleep(0.2)
    raise AssertionError("it never ended")


def test_a_training_that_failed_there_starts_again_when_somebody_says_so(gpu: Launcher, tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    command = ["sh", "-c", f"test -e {mended}"]
    gpu.submit("j", command)
    assert ended(gpu) is State.FAILED
    mended.touch()
    gpu.submit("j", command, again=True)
    assert ended(gpu) is State.FINISHED


def test_a_training_that_was_cancelled_there_starts_again_and_a_running_one_is_not_doubled(
    gpu: Launcher, tmp_path: Path
) -> None:
    command = ["sh", "-c", f"echo started >> {tmp_path / 'starts'}; sleep 60"]
    try:
        gpu.submit("j", command)
        assert gpu.cancel("j").state is State.CANCELLED
        assert gpu.submit("j", command, again=True).state is State.RUNNING
        # As after a lost connection: this side asks for it once more, and that side finds it.
        there = Launcher(tmp_path / "here-too", CommandRunner(documented("ssh gpu")), max_starts=3)
        assert there.submit("j", command).state is State.RUNNING
        assert (tmp_path / "starts").read_text().count("started") == 2
    finally:
        gpu.cancel("j")
