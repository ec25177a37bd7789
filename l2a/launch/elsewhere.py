"""Jobs that commands start, ask and stop: ssh to a GPU host, Slurm, Kubernetes, anything with a command line.

A template is split into words as a shell would, and each placeholder becomes a part of one word, so nothing in a name
or a command is read by a shell on this side. `{command}` is the whole command, quoted for the shell that a remote side
has: `ssh gpu {command}`, `sbatch --wrap {command}`, `kubectl create job ... -- sh -c {command}`.
"""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from l2a.errors import JobError, NotTaken, UsageError
from l2a.launch.record import Job, State
from l2a.settings import LauncherSettings

ASK_SECONDS = 120.0
"""A command that starts, asks or stops has to answer within this."""
NO_ANSWER = 124


class CommandRunner:
    """Starts, looks at and stops jobs through the commands of the settings."""

    kind = "command"

    def __init__(self, settings: LauncherSettings) -> None:
        missing = [name for name in ("submit", "status", "cancel") if not getattr(settings, name)]
        if missing:
            raise UsageError(f'[launcher] kind = "command" needs the commands {", ".join(missing)}')
        self._settings = settings
        for template in (settings.submit, settings.status, settings.cancel, settings.logs, settings.find):
            _words(template or "", Job("name", ("command",), self.kind), "id", Path("folder"))

    def start(self, folder: Path, job: Job) -> str:
        """Submits; the last line that the command prints is the job's id there.

        Raises `NotTaken` where it was refused and there is no command `find` to make sure, `JobError` where it may have
        been taken all the same.
        """
        try:
            done = self._run(self._settings.submit, folder, job, None)
        except JobError as error:  # the command itself cannot be run
            raise NotTaken(str(error)) from error
        if done.returncode != 0:
            kind, how = JobError, "may not have been taken"
            if _refuses(done.returncode):
                kind, how = JobError if self._settings.find else NotTaken, "was not taken"
            raise kind(f"the job {job.name} {how}: exit code {done.returncode}: {_said(done)}")
        lines = done.stdout.strip().splitlines()
        return lines[-1].strip() if lines else job.name

    def state(self, folder: Path, job: Job) -> tuple[State, str]:
        """The state in the other side's word. Where it does not answer, the job is neither dead nor alive."""
        external_id = job.ids[-1] if job.ids else None
        if external_id is None:
            found = self._find(folder, job)
            if isinstance(found, str):
                return State.UNKNOWN, found
            external_id = found[0]
            if not external_id:
                return State.DIED, "its starter was killed before it was taken"
        done = self._run(self._settings.status, folder, job, external_id)
        if done.returncode != 0:
            return State.UNKNOWN, f"asking for it ended with exit code {done.returncode}: {_said(done)}"
        word = (done.stdout.split() or [""])[-1]
        lower = word.lower().rstrip("+")
        for state, words in (
            (State.RUNNING, self._settings.running_words),
            (State.FINISHED, self._settings.finished_words),
            (State.DIED, self._settings.died_words),
        ):
            if lower in {known.lower() for known in words}:
                return state, f"{external_id}: {word}"
        if not lower:
            return State.UNKNOWN, f"asking for {external_id} printed nothing"
        return State.FAILED, f"{external_id}: {word}"

    def _find(self, folder: Path, job: Job) -> tuple[str] | str:
        """The id of a job that was being submitted when its submitter was killed: ('',) where there is none.

        A sentence where nobody can tell.
        """
        if not self._settings.find:
            return (
                "it was being submitted when its submitter was killed, and [launcher] find is not set: look whether it "
                f"runs and end it there, then `l2a job cancel {job.name} --gone` and submit again"
            )
        done = self._run(self._settings.find, folder, job, None)
        if done.returncode != 0:
            return f"looking for it ended with exit code {done.returncode}: {_said(done)}"
        return ((done.stdout.strip().splitlines() or [""])[-1].strip(),)

    def stop(self, folder: Path, job: Job) -> None:
        """Raises `JobError` where the command fails."""
        external_id = job.ids[-1] if job.ids else None
        if external_id is None:
            found = self._find(folder, job)
            external_id = job.name if isinstance(found, str) else found[0]
        if not external_id:
            return
        done = self._run(self._settings.cancel, folder, job, external_id)
        if done.returncode != 0:
            raise JobError(f"the job {job.name} was not stopped: exit code {done.returncode}: {_said(done)}")

    def output(self, folder: Path, job: Job, lines: int) -> str:
        """The last lines of what the command for logs prints; a sentence where there is none."""
        if not self._settings.logs:
            return "[launcher] logs is not set: look where the job runs"
        done = self._run(self._settings.logs, folder, job, job.ids[-1] if job.ids else None)
        return "\n".join((done.stdout if done.returncode == 0 else _said(done)).splitlines()[-lines:])

    def _run(
        self, template: str | None, folder: Path, job: Job, external_id: str | None
    ) -> subprocess.CompletedProcess[str]:
        words = _words(template or "", job, external_id, folder)
        try:
            return subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ASK_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(words, NO_ANSWER, "", f"no answer within {ASK_SECONDS:.0f} s")
        except OSError as error:
            raise JobError(f"[launcher]: cannot run {words[0]}: {error.strerror or error}") from error


def _words(template: str, job: Job, external_id: str | None, folder: Path) -> list[str]:
    values = {
        "name": job.name,
        "command": shlex.join(job.command),
        "id": external_id or job.name,
        "start": str(job.starts),
        "folder": str(folder),
    }
    try:
        return [word.format_map(values) for word in shlex.split(template)]
    except (KeyError, IndexError, ValueError) as error:
        raise UsageError(
            f"[launcher] {template}: {error}; placeholders are {', '.join(f'{{{name}}}' for name in values)}"
        ) from None


def _refuses(code: int) -> bool:
    """Whether an exit code means that nothing was started: not after a lost connection (ssh's 255), no answer in time,
    or a command that was killed halfway (below 0, above 128).
    """
    return 0 < code < 128 and code != NO_ANSWER


def _said(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return lines[-1][:300] if lines else "it said nothing"
