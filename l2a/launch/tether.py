"""A job that ends when its starter does, however that comes about: a step that a killed scheduler's task submitted must
not write beside the one that the next try submits.

The starter holds a lock on a file and passes its path on; who follows looks every second whether it can have the lock.
The kernel drops it when the starter is gone, so a killed one needs to say nothing. On another machine, where the
file is not, nobody follows.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from l2a.progress import say

VARIABLE = "L2A_TETHER"
POLL_SECONDS = 1.0
ENDED_WITH_STARTER = 143


@contextlib.contextmanager
def tether() -> Iterator[None]:
    """Within the block, processes that are started and call `follow` end with this one."""
    descriptor, path = tempfile.mkstemp(prefix="l2a-tether-")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = path
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
        os.unlink(path)
        os.close(descriptor)


def follow() -> None:
    """Ends this process when the one that holds the tether is gone; does nothing where there is no tether."""
    path = os.environ.get(VARIABLE)
    if not path:
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    threading.Thread(target=_watch, args=(descriptor,), name="l2a-tether", daemon=True).start()


def end_with_supervisor() -> None:
    """Ends this process, a task of Airflow's, when the process that supervises it is gone.

    Nobody else would: a supervisor that was killed leaves its task at work, and after a while Airflow tries it again.
    Elsewhere (`dag.test()`, a system without /proc) nothing is watched.
    """
    supervisor = os.getppid()
    try:
        command = Path(f"/proc/{supervisor}/cmdline").read_bytes()
    except OSError:
        return
    if b"airflow" in command:
        threading.Thread(target=_watch_parent, args=(supervisor,), name="l2a-supervisor", daemon=True).start()


def _watch_parent(supervisor: int) -> None:
    while os.getppid() == supervisor:
        time.sleep(POLL_SECONDS)
    os._exit(ENDED_WITH_STARTER)


def _watch(descriptor: int) -> None:
    while not _is_free(descriptor):
        time.sleep(POLL_SECONDS)
    say("the one who submitted this step is gone: it ends here, and the next try takes up what is left")
    os._exit(ENDED_WITH_STARTER)


def _is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
