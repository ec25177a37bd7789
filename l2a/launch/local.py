"""Jobs on this machine: a process group of its own that nobody's end takes along.

Whether a job lives is told by a lock on a file, not by a process number: the job's processes inherit it, and the kernel
drops it when the last of them is gone. Neither a reused number nor a reboot can mislead, and a training whose wrapper
was killed still counts as running. It is taken before the job is started and handed over, so there is no moment in
between. Works on local disks and on NFS 4.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from l2a.errors import JobError
from l2a.json_file import read_json
from l2a.launch import tether
from l2a.launch.record import Job, State

LOCK = "running.lock"
GRACE_SECONDS = 30.0
"""From SIGTERM to SIGKILL: time to write a checkpoint."""
_POLL_SECONDS = 0.1
_GONE_SECONDS = 10.0


class LocalRunner:
    """Starts, looks at and stops jobs on this machine."""

    kind = "local"

    def start(self, folder: Path, job: Job) -> str:
        """Starts the job detached. Raises `JobError` where the command cannot be started, or where it still runs."""
        lock = _take(folder)
        if lock is None:
            raise JobError(f"the job {job.name} still runs")
        number = job.starts
        try:
            with open(folder / f"log-{number}.txt", "ab") as log:
                subprocess.Popen(
                    [sys.executable, "-m", "l2a.launch.wrapper", str(folder), str(number), str(lock), *job.command],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(lock,),
                    env=_environment(),
                )
        except OSError as error:
            raise JobError(f"the job {job.name} cannot be started: {error}") from error
        finally:
            os.close(lock)
        return f"{socket.gethostname()}:{number}"

    def state(self, folder: Path, job: Job) -> tuple[State, str]:
        """The state of the last start, and what there is to say about it."""
        if _is_held(folder):
            return State.RUNNING, f"its log is {self.log(folder, job)}"
        ended = read_json(folder / f"exit-{job.starts}.json")
        if ended is None:
            return State.DIED, "it ended without a word: killed, or the machine went down"
        code = int(ended["code"])
        if code == 0:
            return State.FINISHED, "exit code 0"
        if code < 0:
            return State.DIED, f"killed by signal {-code}; its log is {self.log(folder, job)}"
        return State.FAILED, f"exit code {code}; its log is {self.log(folder, job)}"

    def stop(self, folder: Path, job: Job) -> None:
        """Ends all processes of the job, the polite way first.

        Raises `JobError` where one of them stays, and where they are another machine's.
        """
        for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, _GONE_SECONDS)):
            deadline = time.monotonic() + seconds
            told = False
            while _is_held(folder):
                if time.monotonic() > deadline:
                    break
                # While the lock is held, a process of the group lives, so its number is nobody else's.
                started = read_json(folder / f"start-{job.starts}.json")
                if started is not None and not told:
                    _check_is_here(job, str(started["host"]))
                    _signal(int(started["group"]), number)
                    told = True
                time.sleep(_POLL_SECONDS)
            else:
                return
        raise JobError(f"the job {job.name} does not end: one of its processes left its group; look with `ps`")

    def log(self, folder: Path, job: Job) -> Path:
        """The file of what the last start said."""
        return folder / f"log-{job.starts}.txt"

    def output(self, folder: Path, job: Job, lines: int) -> str:
        """The last lines of what the last start said."""
        try:
            said = self.log(folder, job).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(said.splitlines()[-lines:])


def _environment() -> dict[str, str]:
    """This process's, without what would end the job when its starter ends."""
    return {name: value for name, value in os.environ.items() if name != tether.VARIABLE}


def _take(folder: Path) -> int | None:
    """The job's lock, as a file number to hand over; None: somebody holds it."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    deadline = time.monotonic() + _GONE_SECONDS / 10
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                os.close(descriptor)
                raise
            if time.monotonic() > deadline:  # not somebody who only looked
                os.close(descriptor)
                return None
        time.sleep(_POLL_SECONDS)


def _is_held(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return True
    finally:
        os.close(descriptor)
    return False


def _check_is_here(job: Job, host: str) -> None:
    """The lock is seen on every machine that shares the folder; a process number means something on one of them."""
    if host != socket.gethostname():
        raise JobError(
            f"the job {job.name} runs on {host}, and its processes cannot be ended from {socket.gethostname()}: run "
            f"`l2a job cancel {job.name}` on {host}, or here with --gone where that machine is gone for good"
        )


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return
