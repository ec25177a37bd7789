"""What a person types where a task is red: the step that failed, or what shows why."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

COMMANDS = {
    "nightly_logs.check": "check --date {night}",
    "retrain.decide": "retrain-due",
    "retrain.submit": "job list",
    "retrain.await": "job logs {condition}",
    "retrain.end_training": "job cancel {condition}",
    "retrain.promote": "promote {condition}",
}
"""Of tasks that are no steps, by DAG and task. For the others no command helps: their error says it all."""


def typed(dag_id: str, task: Any, where: Sequence[str]) -> str | None:
    """The command; None: there is none, or what it is about is not known here.

    where: the options that say which warehouse and which settings.
    """
    if step := getattr(task, "step_name", None):
        words = _filled(getattr(task, "application_args", None))
        return shlex.join(["l2a", step, *words]) if words else None
    command = COMMANDS.get(f"{dag_id}.{task.task_id}")
    if command is None:
        return None
    try:
        words = [word.format_map(_about(task)) for word in command.split()]
    except KeyError:
        return None
    return shlex.join(["l2a", *words, *where])


def _about(task: Any) -> Mapping[str, str]:
    """What the task was called with: a plan of `retrain`, or the night. A scheduler that ends a task has filled in
    nothing, so its templates and other tasks' results are still what they are called.
    """
    given = getattr(task, "op_args", None)
    first = given[0] if isinstance(given, list | tuple) and given else None
    if isinstance(first, Mapping):
        return first
    return {"night": night} if (night := "".join(_filled([first]))) else {}


def _filled(words: Any) -> list[str]:
    """The words; none where one of them is not filled in yet."""
    if not isinstance(words, list | tuple):
        return []
    known = [word for word in words if isinstance(word, str) and "{{" not in word]
    return known if len(known) == len(words) else []
