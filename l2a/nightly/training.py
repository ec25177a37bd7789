"""Training again, as a scheduler does it: the command, the job that runs it, and what comes after it.

A retraining is one job of the group `retrain`, named after its condition, so two at once are refused by name.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from l2a.conditions import BUILT_IN, CHAMPION, RANDOM
from l2a.errors import JobOver, L2AError
from l2a.launch import State, Status, launcher
from l2a.nightly.retraining import Decision, condition_name, decide, trained_conditions
from l2a.registry import Registry
from l2a.settings import Settings
from l2a.sql import storage

GROUP = "retrain"
READS = ("dialogues", "turns", "objectives")


@dataclasses.dataclass(frozen=True)
class Plan:
    """A retraining, decided on."""

    condition: str
    champion: str | None
    """The condition in production; None: nothing was promoted yet."""
    baseline: str
    """What the new condition is compared with: `champion`, or the built-in `random` where there is none."""
    why: str
    versions: dict[str, int]
    """Delta versions of the tables when it was decided."""


def plan(settings: Settings, now: dt.datetime, *, force: bool = False) -> tuple[Plan | None, Decision]:
    """What to train now, and why; None: nothing. force: whatever the rule says."""
    decision = decide(settings.warehouse, settings.retrain, now)
    if not (decision.due or force):
        return None, decision
    where = storage.find(settings.warehouse)
    crowned = champion(settings)
    name = condition_name(settings.retrain.method, now.date(), trained_conditions(settings.warehouse))
    versions = {table: where.open(table).version() for table in READS}
    # Not under its own condition's name: that means the newest version, which somebody may have trained since.
    return Plan(name, crowned, CHAMPION if crowned else RANDOM, decision.why, versions), decision


def train_command(settings: Settings, condition: str, config: str | None) -> list[str]:
    """The command line of the training. Elsewhere, `l2a` has to be on PATH and sees its own settings file."""
    here = settings.launcher.kind == "local"
    words = [sys.executable, "-m", "l2a.cli"] if here else ["l2a"]
    words += ["train", settings.retrain.method, "--condition", condition, "--recipe", settings.retrain.recipe]
    words += ["--warehouse", settings.warehouse]
    return words + (["--config", config] if here and config else [])


def start(settings: Settings, condition: str, config: str | None) -> Status:
    """Submits the training, or finds it; one that failed or was cancelled before starts again.

    Raises `JobRefused` while another retraining runs.
    """
    jobs = launcher(settings)
    over = condition in jobs.names() and jobs.status(condition).state in (State.FAILED, State.CANCELLED)
    return jobs.submit(condition, train_command(settings, condition, config), group=GROUP, again=over)


def finished(settings: Settings, condition: str) -> tuple[bool, str]:
    """Whether the training has ended well, and how it stands; one that died is started again first.

    Raises `JobOver` with its last words where it failed or was cancelled; `JobError` where it cannot be looked at or
    started again now.
    """
    jobs = launcher(settings)
    status = jobs.revive(condition)
    says = f"{condition} is {status.state} (start {status.starts}): {status.says}"
    if status.state in (State.FAILED, State.CANCELLED):
        raise JobOver(f"{says}\n{jobs.output(condition, 20)}")
    return status.state is State.FINISHED, says


def stop(settings: Settings, condition: str) -> str:
    """Ends the training if it still runs; says how it stands."""
    jobs = launcher(settings)
    if condition not in jobs.names():
        return f"{condition} was never started"
    status = jobs.cancel(condition)
    return f"{condition} is {status.state}: {status.says}"


def promote(settings: Settings, condition: str, config: str | None) -> dict[str, Any]:
    """What `l2a promote` decided: `outcome` (promoted or kept) and `reasons`. In a process of its own: MLflow is large.

    Raises `L2AError` with its last line where it decided nothing.
    """
    words = [sys.executable, "-m", "l2a.cli", "promote", condition, "--format", "json"]
    words += ["--warehouse", settings.warehouse, *(("--config", config) if config else ())]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    try:
        decided: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise L2AError(f"l2a promote {condition} ended with exit code {done.returncode}: {said}") from None
    return decided


def in_production(decided: Mapping[str, Any]) -> bool:
    """Whether the condition's model is champion after what `promote` decided.

    Also where it was so before: an earlier try has then made it champion, and was killed before it could say so.
    """
    champion = decided["champion"] or {}
    same = all(champion.get(name) == decided[name] for name in ("condition", "number"))
    return bool(decided["outcome"] == "promoted" or same)


def conditions(settings: Settings, only: Sequence[str] = ()) -> list[str]:
    """The conditions to evaluate: the built-in ones, all registered ones, and `champion` where there is one.

    only: these and `champion`, which they are compared with.
    """
    crowned = [CHAMPION] if champion(settings) else []
    return list(dict.fromkeys([*crowned, *(only or (*BUILT_IN, *Registry.open(settings).conditions()))]))


def champion(settings: Settings) -> str | None:
    """The condition in production; None: nothing was promoted yet."""
    found = Registry.open(settings).champion()
    return None if found is None else found.condition
