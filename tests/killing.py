"""Kills steps at random moments and runs them again: the warehouse must end as if nothing had happened.

A step runs in a process of its own on a copy of the warehouse as it was before the step. A moment is a share of what
the undisturbed step did: of its seconds, or of the files that it was seen to write, so that moments fall between two
writes however fast or busy the machine is. Then the driver, its JVM or both get SIGKILL, and the step runs again, in
the test's process, whose Java is warm. So do the steps before those that are killed.
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

from click.testing import CliRunner
from command_line import SMALL_JUDGE, contents, environment, words

from l2a.cli import main
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
    """What a step does when nobody disturbs it, in a process of its own."""

    seconds: float
    files: int
    tables: dict[str, list[tuple[Any, ...]]]
    """Stable contents of all tables after it."""


class Rehearsal:
    """Logs, warehouses that an undisturbed pipeline made from them, and kills of its steps. Needs a Spark session."""

    def __init__(self, folder: Path) -> None:
        self.logs = {step: folder / f"{step}.jsonl" for step in LOGS}
        self.folder = folder
        self.attempts = 0
        self.undisturbed: dict[str, Undisturbed] = {}
        for step, spec in LOGS.items():
            write_log(spec, self.logs[step])

    def kill(self, step: str, moment: Moment) -> bool:
        """Kills the step at the moment, runs it again, compares all tables; False: there was nothing to kill then."""
        if step not in self.undisturbed:
            self.undisturbed[step] = self._undisturbed(step)
        undisturbed, warehouse = self.undisturbed[step], self._copy(self._before(step))
        process = self._start(step, warehouse)
        try:
            if not self._reached(process, warehouse, moment, undisturbed) or not _kill(process, moment.victim):
                return False
            if process.wait(timeout=LONGEST_SECONDS) == 0:  # it had finished before it missed its JVM
                self._compare(step, warehouse, moment)
            self._run(step, warehouse)
            self._compare(step, warehouse, moment)
        finally:
            _kill(process, "both")
            process.wait()
            shutil.rmtree(warehouse, ignore_errors=True)
        return True

    def _before(self, step: str) -> Path:
        """The warehouse as it is before the step, made once."""
        folder, earlier = self.folder / f"before-{step}", list(STEPS)[: list(STEPS).index(step)]
        if not folder.exists():
            made = self._copy(self._before(earlier[-1]) if earlier else None)
            if earlier:
                self._run(earlier[-1], made)
            made.rename(folder)
        return folder

    def _copy(self, warehouse: Path | None) -> Path:
        """A folder of its own: what is left of the victim of the moment before may still be writing into the last."""
        self.attempts += 1
        copy = self.folder / f"warehouse-{self.attempts}"
        if warehouse is None:
            copy.mkdir()
        else:
            shutil.copytree(warehouse, copy)
        return copy

    def _undisturbed(self, step: str) -> Undisturbed:
        warehouse = self._copy(self._before(step))
        files = _Files(warehouse)
        started = time.monotonic()
        process = self._start(step, warehouse)
        while process.poll() is None:
            files.look()
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - started
        assert process.returncode == 0, (self.folder / "said.txt").read_text(errors="replace")
        return Undisturbed(seconds, files.new, contents(warehouse))

    def _arguments(self, step: str, warehouse: Path) -> list[str]:
        log = [self.logs[step]] if step in self.logs else []
        return list(map(str, [*STEPS[step], *log, "--warehouse", warehouse]))

    def _run(self, step: str, warehouse: Path) -> None:
        done = CliRunner(env=environment(**SMALL_JUDGE)).invoke(main, self._arguments(step, warehouse))
        assert done.exit_code == 0, f"{step}: exit code {done.exit_code}\n{done.output}\n{done.exception!r}"

    def _compare(self, step: str, warehouse: Path, moment: Moment) -> None:
        found, expected = contents(warehouse), self.undisturbed[step].tables
        different = [_difference(name, found[name], expected[name]) for name in found if found[name] != expected[name]]
        assert not different, f"{step}, {moment}: " + "; ".join(different)

    def _reached(
        self, process: subprocess.Popen[bytes], warehouse: Path, moment: Moment, undisturbed: Undisturbed
    ) -> bool:
        """Waits for the moment; False: the step ended first."""
        files, started = _Files(warehouse), time.monotonic()
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

    def _start(self, step: str, warehouse: Path) -> subprocess.Popen[bytes]:
        with (self.folder / "said.txt").open("wb") as said:
            # A session of its own makes it the head of a process group, which can be killed as one.
            return subprocess.Popen(
                words(*self._arguments(step, warehouse)),
                env=environment(**SMALL_JUDGE),
                stdout=said,
                stderr=said,
                start_new_session=True,
            )


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
