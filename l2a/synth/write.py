"""Logs into files: the log, the truth beside it, and a summary that says what an ingestion must count."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from l2a.errors import UsageError
from l2a.synth.entries import BROKEN, FIRST, Entry, entries
from l2a.synth.forms import encode
from l2a.synth.spec import LogSpec
from l2a.synth.versions import CORRECTION, DUPLICATE, LATE

Progress = Callable[[int], None]
"""Called now and then with the number of dialogues written so far."""

PROGRESS_EVERY = 1_000
GZIP_LEVEL = 6


@dataclass(slots=True)
class Summary:
    """What a log holds, in counts."""

    lines: int = 0
    size: int = 0
    """Bytes, before compression."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Lines by kind: first, correction, late, duplicate, broken; more in an event log."""
    broken: Counter[str] = field(default_factory=Counter)
    """Broken lines by what is wrong with them."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Dialogues by outcome, as they first appear."""

    @property
    def dialogues(self) -> int:
        """Distinct sessions."""
        return self.kinds[FIRST]

    def add(self, entry: Entry) -> None:
        """Counts one more line."""
        self.lines += 1
        self.size += len(entry.line) + 1
        self.kinds[entry.kind] += 1
        if entry.broken:
            self.broken[entry.broken] += 1
        elif entry.kind == FIRST and entry.dialogue:
            self.outcomes[entry.dialogue.outcome] += 1

    def expected(self, *, one_run: bool) -> dict[str, int]:
        """Dialogue lines by how an ingestion must count them.

        Args:
            one_run: the whole log is read in one run, in which only the newest version of a session is new; else
                every line meets what came before it, as when the nights of `write_nights` are read one by one.
        """
        corrections, late = self.kinds[CORRECTION], self.kinds[LATE]
        return {
            "new": self.dialogues,
            "updated": 0 if one_run else corrections,
            "unchanged": self.kinds[DUPLICATE],
            "superseded": corrections + late if one_run else late,
            "quarantined": self.kinds[BROKEN],
        }

    def as_dict(self, *, one_run: bool = True) -> dict[str, object]:
        """The summary as `l2a synth` prints it; `one_run` as in `expected`."""
        return {
            "dialogues": self.dialogues,
            "lines": self.lines,
            "bytes": self.size,
            "kinds": dict(sorted(self.kinds.items())),
            "outcomes": dict(sorted(self.outcomes.items())),
            "broken": dict(sorted(self.broken.items())),
            "expected": self.expected(one_run=one_run),
        }


def write_log(spec: LogSpec, output: Path, *, truth: Path | None = None, progress: Progress | None = None) -> Summary:
    """Writes a log, and what is true about it.

    Args:
        output: the log; compressed where its name ends in .gz.
        truth: one JSON line per line of the log that begins or repeats a session or is broken, in the log's order:
            line (from 1), kind, and either `broken` or the dialogue's truth (`MadeDialogue.truth`).

    Raises:
        UsageError: a file cannot be written, or both are the same. Until they are complete, files have other names.
    """
    if truth and truth.absolute() == output.absolute():
        raise UsageError(f"The log and its truth cannot both be {output}.")
    with ExitStack() as stack:
        truth_file = stack.enter_context(replacing(truth)) if truth else None
        return write_entries(entries(spec), stack.enter_context(replacing(output)), truth_file, progress=progress)


def write_entries(
    log: Iterable[Entry],
    output: IO[bytes],
    truth: IO[bytes] | None,
    *,
    labels: dict[str, object] | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Writes lines to open files. `labels` go into each row of the truth file."""
    summary = Summary()
    for entry in log:
        output.write(entry.line)
        output.write(b"\n")
        summary.add(entry)
        if truth and (entry.dialogue or entry.broken):
            row = {**(labels or {}), "line": summary.lines, "kind": entry.kind}
            row |= entry.dialogue.truth() if entry.dialogue else {"broken": entry.broken}
            truth.write(encode(row).encode() + b"\n")
        if progress and entry.kind == FIRST and summary.dialogues % PROGRESS_EVERY == 0:
            progress(summary.dialogues)
    if progress:
        progress(summary.dialogues)
    return summary


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes its place only when complete; gzip by the name, with nothing of the moment in it."""
    # A leading dot, because readers of folders skip such files while they are written.
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = part.open("wb")
        try:
            with raw, ExitStack() as stack:
                file: IO[bytes] = raw
                if path.suffix == ".gz":
                    packed = gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0)
                    stack.callback(packed.close)
                    file = cast(IO[bytes], packed)
                yield file
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"Cannot write {path}: {error.strerror or error}.") from error
