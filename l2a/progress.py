"""Progress on standard error: a live bar on a terminal, plain lines in a log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

PLAIN_EVERY_SECONDS = 10.0

console = Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """One line for the person who runs the command."""
    console.print(message, markup=False)


class Bar:
    """How far one step is. `update` may be called as often as wanted, from any thread."""

    def __init__(self, name: str, live: Progress | None) -> None:
        self.name = name
        self._live = live
        self._task: TaskID | None = None if live is None else live.add_task(name, total=None)
        self._said = time.monotonic()

    def update(self, done: int, total: int | None, note: str = "") -> None:
        """done of total units (None: not known yet); note says what is being done."""
        if self._live is not None and self._task is not None:
            self._live.update(self._task, completed=done, total=total, description=f"{self.name} {note}".rstrip())
        elif time.monotonic() - self._said >= PLAIN_EVERY_SECONDS:
            self._said = time.monotonic()
            say(f"{self.name}: {note + ' ' if note else ''}{done}{'' if total is None else f' of {total}'}")


@contextlib.contextmanager
def bar(name: str) -> Iterator[Bar]:
    """Shows a step while it runs."""
    if not console.is_terminal:
        yield Bar(name, None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as live:
        yield Bar(name, live)
