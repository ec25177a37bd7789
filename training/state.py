"""What is known of a condition's training beside its models: a small file, so that a killed training goes on as it was.

It pins the table versions and judges that the training first saw, and the MLflow run that it is.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from l2a.errors import L2AError
from l2a.json_file import read_json, write_json
from l2a.open_judge import grader_name
from l2a.progress import say
from l2a.settings import Settings
from training import data
from training.locks import held
from training.ranks import is_main
from training.recipes import RL_METHODS


@dataclass
class State:
    """What is known of a condition's training beside its models; a small file, replaced as a whole."""

    asked: dict[str, Any]
    versions: dict[str, int]
    extractor: str
    started_at: str
    grader: str = ""
    run_id: str | None = None
    training_id: str | None = None
    seconds: float = 0.0
    finished: bool = False


def begin(settings: Settings, file: Path, asked: dict[str, Any]) -> State:
    """What was begun and not finished with the same arguments, or a new beginning on the tables as they are now."""
    if (found := read_json(file)) is not None:
        known = State(**found)
        if known.asked == asked and not known.finished:
            known.grader = known.grader or grader_of(settings, asked["method"])
            say(f"train {file.stem}: goes on where it was left, on the tables of {known.started_at[:16]}")
            return known
        new = fresh(settings, asked)
        if known.asked == asked:
            new.training_id, new.finished = known.training_id, True
        return new
    return fresh(settings, asked)


def fresh(settings: Settings, asked: dict[str, Any]) -> State:
    versions = data.newest_versions(settings.warehouse)
    extractor = data.resolve_extractor(settings.warehouse, settings.judge.extractor, versions)
    grader = grader_of(settings, asked["method"])
    return State(asked, versions, extractor, dt.datetime.now(dt.UTC).isoformat(), grader)


def grader_of(settings: Settings, method: str) -> str:
    """The full name of the grader that a method is paid or chosen by; empty: it needs none."""
    return grader_name(settings) if method == "dpo" or method in RL_METHODS else ""


def save(file: Path, state: State) -> None:
    if is_main():
        write_json(file, asdict(state))


@contextlib.contextmanager
def alone(root: Path, condition: str) -> Iterator[None]:
    """Holds the condition against a second training of it; the lock ends with the process, however it ends."""
    if not is_main():
        yield
        return

    def refuse() -> None:
        raise L2AError(f"condition {condition} is being trained by another process: wait for it, or stop it") from None

    with held(root / f"{condition}.lock", refuse):
        yield
