"""What is known of a job: a JSON file that is whole after any crash, and the states that a job can be in."""

from __future__ import annotations

import dataclasses
import enum
import json
from pathlib import Path

from l2a.errors import JobError
from l2a.json_file import write_json

RECORD = "job.json"


class State(enum.StrEnum):
    """Where a job stands."""

    RUNNING = "running"
    FINISHED = "finished"
    """It ended with exit code 0."""
    FAILED = "failed"
    """It ended with another exit code: the same command would fail again, so a person has to look."""
    DIED = "died"
    """It was killed, or its machine went down: the same command goes on from the last checkpoint."""
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """Who runs it cannot be asked now. It may run, so it is not started again."""

    @property
    def over(self) -> bool:
        """Whether nothing more comes of it by itself."""
        return self not in (State.RUNNING, State.UNKNOWN)


@dataclasses.dataclass(frozen=True)
class Status:
    """A job's state, and the sentence that explains it."""

    state: State
    says: str
    starts: int
    """How often it was started."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A job as it stands in its folder."""

    name: str
    command: tuple[str, ...]
    kind: str
    """Which launcher started it: local or command."""
    group: str | None = None
    """Of the jobs of a group only one runs at a time."""
    starts: int = 0
    forgiven: int = 0
    """Starts that do not count against the limit any more: of another command, or before somebody said `--again`."""
    ids: tuple[str | None, ...] = ()
    """What the one who runs it calls each start; null: it was being started when its starter was killed."""
    cancelled: bool = False
    gone: bool = False
    """Somebody said that its machine is gone for good, so nobody is asked about it any more."""
    ended: State | None = None
    """How its last start ended, once that was seen: who ran it may forget it."""

    def started(self, external_id: str | None) -> Job:
        """With the id of its last start."""
        return dataclasses.replace(self, ids=(*self.ids[: self.starts - 1], external_id))

    def starting(self) -> Job:
        """About to be started once more."""
        return dataclasses.replace(self, starts=self.starts + 1, ids=(*self.ids, None), ended=None)


def read_job(folder: Path) -> Job | None:
    """The job of a folder; None: there is none. Raises `JobError` for a file that is no such record."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        known = {field.name: found[field.name] for field in dataclasses.fields(Job) if field.name != "ended"}
        ended = State(found["ended"]) if found.get("ended") else None
        return Job(**{**known, "command": tuple(known["command"]), "ids": tuple(known["ids"]), "ended": ended})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise JobError(f"{folder / RECORD} is not a job that this l2a wrote: {error}") from None


def write_job(folder: Path, job: Job) -> None:
    """Writes the record whole or not at all."""
    write_json(folder / RECORD, dataclasses.asdict(job))
