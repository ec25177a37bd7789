"""Submitting, watching and cancelling jobs, the same for every way of running them.

Whoever changes a job holds the lock of the whole folder of jobs, so that of two submitters one starts it and the other
finds it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from l2a.errors import JobError, JobRefused, NotTaken, UsageError
from l2a.launch.elsewhere import CommandRunner
from l2a.launch.local import LocalRunner
from l2a.launch.record import RECORD, Job, State, Status, read_job, write_job
from l2a.settings import Settings, training_folder

_NAME = re.compile(r"[A-Za-z0-9@_-][A-Za-z0-9@._-]{0,99}")


class Runner(Protocol):
    """A way of running jobs. `folder` is the job's own."""

    @property
    def kind(self) -> str: ...

    def start(self, folder: Path, job: Job) -> str:
        """Starts the job's last start; returns the id that the job has there. Raises `NotTaken` where it is refused."""

    def state(self, folder: Path, job: Job) -> tuple[State, str]:
        """The state of the last start, and a sentence about it."""

    def stop(self, folder: Path, job: Job) -> None:
        """Ends it; returns when nothing of it runs any more, or when the other side has taken the order."""

    def output(self, folder: Path, job: Job, lines: int) -> str:
        """The last lines that it said."""


class Launcher:
    """The jobs of one folder."""

    def __init__(self, folder: Path, runner: Runner, max_starts: int) -> None:
        self.folder = folder
        self._runner = runner
        self._max_starts = max_starts

    def submit(self, name: str, command: Sequence[str], *, group: str | None = None, again: bool = False) -> Status:
        """Starts the job unless it runs or has finished; one that died is started again, `max_starts` times in all.

        group: of the jobs of a group only one runs at a time.
        again: also starts a job that finished, failed, was cancelled or died too often, and counts from there.

        Raises `JobRefused` where another job of the group runs, or this one with another command; `JobError` where it
        cannot be started.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(f"a job is named by letters, digits and @ . _ - (100 at most), not {name!r}")
        with self._changing():
            job = self._known(name)
            if job is None:
                job = Job(name, tuple(command), self._runner.kind, group)
            status = self._status(job)
            if job.command != tuple(command):
                if not status.state.over:
                    raise JobRefused(f"the job {name} runs with another command: {' '.join(job.command)}")
                job = dataclasses.replace(job, command=tuple(command), forgiven=job.starts)
            elif again and status.state.over:
                job = dataclasses.replace(job, forgiven=job.starts)
            if job.starts > job.forgiven and not self._may_start_again(job, status.state):
                return status
            return self._start(dataclasses.replace(job, group=group, kind=self._runner.kind))

    def revive(self, name: str) -> Status:
        """The job's state; one that died is started again first, `max_starts` times in all.

        Raises `JobError` where there is no such job or it cannot be started.
        """
        with self._changing():
            job = self._job(name)
            status = self._status(job)
            if self._may_start_again(job, status.state):
                return self._start(job)
            self._note_end(job, status)
            return status

    def status(self, name: str) -> Status:
        """Raises `JobError` where there is no such job."""
        return self._status(self._job(name))

    def cancel(self, name: str, *, gone: bool = False) -> Status:
        """Ends the job if it runs; neither it nor one that has died is started again unless somebody says so.

        gone: its machine is gone for good: nobody is asked to end it, and it counts as cancelled.
        Raises `JobError` where there is no such job, or it does not end.
        """
        with self._changing():
            job = self._job(name)
            status = self._status(job)
            died = status.state is State.DIED and job.starts > job.forgiven
            if status.state.over and not died:
                return status
            # First the word that it is over, so that nobody starts it again should this process be killed now.
            write_job(self.folder / name, dataclasses.replace(job, cancelled=True, gone=gone))
            if not (gone or died):
                self._runner.stop(self.folder / name, job)
            job = self._job(name)
            status = self._status(job)
            if status.state is State.UNKNOWN and job.kind == self._runner.kind and not (gone or died):
                # It was ended, and with that forgotten, as by `kubectl delete`.
                status = Status(State.CANCELLED, f"cancelled; {status.says}", status.starts)
            self._note_end(job, status)
            return status

    def interrupt(self, name: str) -> Status:
        """Ends the job as a crash of its machine would, only politely: it counts as died, and may be started again."""
        with self._changing():
            job = self._job(name)
            if not self._status(job).state.over:
                self._runner.stop(self.folder / name, job)
            return self._status(job)

    def output(self, name: str, lines: int = 50) -> str:
        """The last lines that the job's last start said. Raises `JobError` where there is no such job."""
        return self._runner.output(self.folder / name, self._job(name), lines)

    def names(self) -> list[str]:
        """All jobs, sorted."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/{RECORD}"))

    def forget(self, name: str) -> None:
        """Removes the folder of a job that is over. Raises `JobError` where it is not."""
        with self._changing():
            status = self._status(self._job(name))
            if not status.state.over:
                raise JobError(f"the job {name} is {status.state}: {status.says}")
            shutil.rmtree(self.folder / name)

    def _start(self, job: Job) -> Status:
        for other in self.names() if job.group else ():
            known = self._known(other)
            if other != job.name and known is not None and known.group == job.group:
                beside = self._status(known)
                if not beside.state.over:
                    raise JobRefused(
                        f"{job.name} is not started: {other} is {beside.state}, and only one {job.group} runs at a "
                        f"time. Wait for it, or end it with `l2a job cancel {other}`."
                    )
        folder = self.folder / job.name
        before, job = job, dataclasses.replace(job, cancelled=False, gone=False).starting()
        write_job(folder, job)
        try:
            job = job.started(self._runner.start(folder, job))
        except NotTaken:
            # Else it would look like one whose submitter was killed, which may run and is never started again.
            write_job(folder, before)
            raise
        write_job(folder, job)
        return self._status(job)

    def _note_end(self, job: Job, status: Status) -> None:
        """Keeps how a job ended. One that died too often is not among those: more starts may be allowed later."""
        failed = status.state is State.FAILED and job.starts - job.forgiven < self._max_starts
        if job.ended is None and (failed or status.state in (State.FINISHED, State.CANCELLED)):
            write_job(self.folder / job.name, dataclasses.replace(job, ended=status.state))

    def _may_start_again(self, job: Job, state: State) -> bool:
        return state is State.DIED and job.starts - job.forgiven < self._max_starts

    def _status(self, job: Job) -> Status:
        if job.starts == job.forgiven:
            return Status(State.DIED, "it was not started yet", job.starts)
        if job.gone:
            return Status(State.CANCELLED, "cancelled, since its machine is gone for good", job.starts)
        if job.ended is not None:
            return Status(job.ended, "so it had ended when it was last asked about", job.starts)
        if job.kind != self._runner.kind:
            return Status(State.UNKNOWN, f"it was started by the launcher `{job.kind}`, which is not set", job.starts)
        state, says = self._runner.state(self.folder / job.name, job)
        if job.cancelled and state not in (State.UNKNOWN, State.FINISHED):
            # A command that stops a job may return before it has ended.
            says = f"cancelled; {says}"
            state = State.RUNNING if state is State.RUNNING else State.CANCELLED
        elif state is State.DIED and job.starts - job.forgiven >= self._max_starts:
            says = f"it died {self._max_starts} times, so it is left alone: {says}"
            state = State.FAILED
        return Status(state, says, job.starts)

    def _job(self, name: str) -> Job:
        job = self._known(name)
        if job is None:
            raise JobError(f"there is no job {name} in {self.folder}; there are: {', '.join(self.names()) or 'none'}")
        return job

    def _known(self, name: str) -> Job | None:
        return read_job(self.folder / name) if _NAME.fullmatch(name) else None

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise JobError(f"the folder of jobs {self.folder} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def jobs_folder(settings: Settings) -> Path:
    """The folder of jobs: beside the checkpoints. Raises `UsageError` where those are not on a file system.

    Each kind of launcher has its own: where both sides of an ssh share the checkpoints, each keeps its own record of a
    job, and the one that submits holds its lock while the other takes its own.
    """
    return training_folder(settings) / ("jobs" if settings.launcher.kind == "local" else "jobs-elsewhere")


def launcher(settings: Settings) -> Launcher:
    """The launcher of the settings. Raises `UsageError` for settings that it cannot work with."""
    runner: Runner = LocalRunner() if settings.launcher.kind == "local" else CommandRunner(settings.launcher)
    return Launcher(jobs_folder(settings), runner, settings.launcher.max_starts)
