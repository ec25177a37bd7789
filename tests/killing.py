"""Kills steps at random moments and runs them again: the warehouse must end as if nothing had happened.

A step runs in a process of its own on a copy of the warehouse as it was before the step. A moment is a share of what
the undisturbed step did: of its seconds, or of the files that it was seen to write, so that moments fall between two
writes however fast or busy the machine is. Then the driver, its JVM or both get SIGKILL, and the step runs again.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from command_line import SMALL_JUDGE, contents, environment, l2a, words

from l2a.synth import LogSpec, write_log

STEPS: dict[str, tuple[str, ...]] = {
    "ingest": ("ingest",),
    "slice": ("slice",),
    "extract": ("extract",),
    "rollout": ("rollout", "--condition", "random"),
    "grade": ("grade",),
    "ingest again": ("ingest",),
    "slice again": ("slice",),
}
"""In order; `ingest` takes its log as one more argument. `extract` fits the judge first."""
REPEATS = {"late_share": 0.04, "duplicate_share": 0.04}
LOGS = {
    "ingest": LogSpec(dialogues=150, seed=3, bad_share=0.04, correction_share=0.05, **REPEATS),
    # Those dialogues again, more of them corrected, and new ones.
    "ingest again": LogSpec(dialogues=180, seed=3, bad_share=0.04, correction_share=0.3, **REPEATS),
}

Victim = Literal["both", "driver", "JVM"]
VICTIMS: tuple[Victim, ...] = ("both", "driver", "JVM")
POLL_SECONDS = 0.02
LONGEST_SECONDS = 600


@dataclass(frozen=True)
class Moment:
    """When to kill: at a share of the seconds that the step takes, or of the files that it writes."""

    share: float
    of: Literal["seconds", "files"]
    victim: Victim


def moments(seed: int) -> Iterator[Moment]:
    """Random moments without end, the same for the same seed; two of three by files."""
    draw = random.Random(seed)
    while True:
        yield Moment(round(draw.random(), 3), draw.choice(("seconds", "files", "files")), draw.choice(VICTIMS))


@dataclass(frozen=True)
class Undisturbed:
    """What a step does when nobody disturbs it."""

    before: Path
    """A copy of the warehouse as it was before the step."""
    seconds: float
    files: int
    tables: dict[str, list[tuple[Any, ...]]]
    """Stable contents of all tables after it."""


class Rehearsal:
    """Logs, a warehouse that an undisturbed pipeline made from them, and kills of its steps."""

    def __init__(self, folder: Path) -> None:
        self.logs = {step: folder / f"{step}.jsonl" for step in LOGS}
        self.warehouse = folder / "warehouse"
        self.folder = folder
        self.attempts = 0
        for step, spec in LOGS.items():
            write_log(spec, self.logs[step])
        self.warehouse.mkdir()
        self.undisturbed = {step: self._undisturbed(step) for step in STEPS}

    def arguments(self, step: str) -> list[str | Path]:
        log = [self.logs[step]] if step in self.logs else []
        return [*STEPS[step], *log, "--warehouse", self.warehouse]

    def _undisturbed(self, step: str) -> Undisturbed:
        before = self.folder / f"before-{step}"
        shutil.copytree(self.warehouse, before)
        files = _Files(self.warehouse)
        started = time.monotonic()
        process = self._start(step)
        while process.poll() is None:
            files.look()
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - started
        assert process.returncode == 0, self._said()
        return Undisturbed(before, seconds, files.new, contents(self.warehouse))

    def kill(self, step: str, moment: Moment) -> bool:
        """Kills the step at the moment, runs it again, compares all tables; False: there was nothing to kill then."""
        undisturbed = self.undisturbed[step]
        # A folder of its own: what is left of the victim of the moment before may still be writing into the last one.
        shutil.rmtree(self.warehouse, ignore_errors=True)
        self.attempts += 1
        self.warehouse = self.folder / f"warehouse-{self.attempts}"
        shutil.copytree(undisturbed.before, self.warehouse)
        process = self._start(step)
        try:
            if not self._reached(process, moment, undisturbed) or not _kill(process, moment.victim):
                return False
            if process.wait(timeout=LONGEST_SECONDS) == 0:  # it had finished before it missed its JVM
                self._compare(step, moment)
            l2a(*self.arguments(step), **SMALL_JUDGE)
            self._compare(step, moment)
        finally:
            _kill(process, "both")
            process.wait()
        return True

    def _compare(self, step: str, moment: Moment) -> None:
        found, expected = contents(self.warehouse), self.undisturbed[step].tables
        different = [_difference(name, found[name], expected[name]) for name in found if found[name] != expected[name]]
        assert not different, f"{step}, {moment}: " + "; ".join(different)

    def _reached(self, process: subprocess.Popen[bytes], moment: Moment, undisturbed: Undisturbed) -> bool:
        """Waits for the moment; False: the step ended first."""
        files, started = _Files(self.warehouse), time.monotonic()
        wanted = math.ceil(moment.share * undisturbed.files)
        while process.poll() is None:
            if moment.of == "seconds" and time.monotonic() - started >= moment.share * undisturbed.seconds:
                return True
            if moment.of == "files":
                files.look()
                if files.new >= wanted:
                    return True
            time.sleep(POLL_SECONDS)
        return False

    def _start(self, step: str) -> subprocess.Popen[bytes]:
        with (self.folder / "said.txt").open("wb") as said:
            # A session of its own makes it the head of a process group, which can be killed as one.
            return subprocess.Popen(
                words(*self.arguments(step)),
                env=environment(**SMALL_JUDGE),
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def _said(self) -> str:
        return (self.folder / "said.txt").read_text(errors="replace")


class _Files:
    """How many files have appeared under a folder, those counted that are gone again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.attempts = 0
        self.before = self._there()
        self.seen: set[str] = set()

    @property
    def new(self) -> int:
        return len(self.seen)

    def look(self) -> None:
        self.seen |= self._there() - self.before

    def _there(self) -> set[str]:
        # os.walk passes over folders that vanish while it looks.
        return {os.path.join(top, name) for top, _, names in os.walk(self.folder) for name in names}


def _kill(process: subprocess.Popen[bytes], victim: Victim) -> bool:
    """Sends SIGKILL; False: there was nobody."""
    try:
        if victim == "both":
            os.killpg(process.pid, signal.SIGKILL)
        elif victim == "driver":
            os.kill(process.pid, signal.SIGKILL)
        else:
            jvms = _children_of(process.pid)
            for pid in jvms:
                os.kill(pid, signal.SIGKILL)
            return bool(jvms)
    except ProcessLookupError:
        return False
    return True


def _children_of(driver: int) -> list[int]:
    """The JVM, or the script that is about to become it. Spark's Python workers are the JVM's children."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [int(pid) for pid, parent in rows if int(parent) == driver]


def _difference(name: str, found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> str:
    more = [row for row in found if row not in expected][:3]
    less = [row for row in expected if row not in found][:3]
    return f"{name}: {len(found)} rows for {len(expected)}; only here {more}; only there {less}"
