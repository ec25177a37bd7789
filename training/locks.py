"""Locks between trainings that share a folder: each ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def held(file: Path, taken: Callable[[], None]) -> Iterator[None]:
    """Holds `file` against all other processes. taken: called where another one holds it, before it is waited for; it
    raises where nobody is to wait."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            taken()
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
