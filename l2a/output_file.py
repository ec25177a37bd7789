"""A file that a command was asked to write: there whole or as it was before, and looked at before any long work."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from l2a.errors import EnvironmentProblem, UsageError


def check(target: Path) -> None:
    """Raises `UsageError` where `target` cannot be written."""
    if target.is_dir():
        raise UsageError(f"cannot write {target}: it is a folder; name a file")
    if not target.parent.is_dir():
        raise UsageError(f"cannot write {target}: there is no folder {target.parent}; make it, or name another file")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write {target}: the folder {target.parent} is not yours to write in; name another")


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[TextIO]:
    """Writes beside the target first: what fails half-way leaves an older file as it was, and nobody reads half of one.

    Raises `UsageError` where it cannot be written, `EnvironmentProblem` where the disk is full.
    """
    check(target)
    try:
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from None
    try:
        with open(handle, "w", encoding="utf-8", newline="") as out:
            yield out
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(draft, 0o666 & ~mask)
        os.replace(draft, target)
    except BaseException as error:
        os.unlink(draft)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentProblem(f"cannot write {target}: its disk is full; make room there") from error
        raise
