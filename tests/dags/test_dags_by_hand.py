"""What a red task tells a person to type is a command of l2a, filled in; where there is none, nothing is said."""

from __future__ import annotations

import shlex
from types import SimpleNamespace
from typing import Any

import click
import pytest

from dags.common.by_hand import COMMANDS, typed
from l2a.cli import main
from l2a.nightly.advice import advice

WHERE = ["--warehouse", "/my warehouse", "--config", "l2a.toml"]
PLAN = {"condition": "grpo-20261122", "baseline": "champion"}


def task(name: str, *given: Any, **more: Any) -> Any:
    return SimpleNamespace(task_id=name, op_args=list(given), **more)


def taken(command: str) -> None:
    """Has l2a read the command to its end, as it would if somebody typed it. Raises what click would print."""
    program, *words = shlex.split(command)
    assert program == "l2a"
    found: click.Command = main
    while isinstance(found, click.Group):
        context = click.Context(found)
        _, below, words = found.resolve_command(context, words)
        assert below is not None
        found = below
    found.make_context(command, words)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_one_that_l2a_takes(name: str) -> None:
    dag_id, task_id = name.split(".")
    command = typed(dag_id, task(task_id, "2026-11-21" if dag_id == "nightly_logs" else PLAN), WHERE)
    assert command is not None
    taken(command)


def test_the_command_is_about_the_night_or_the_condition_that_is_red() -> None:
    assert typed("nightly_logs", task("check", "2026-11-21"), []) == "l2a check --date 2026-11-21"
    assert typed("retrain", task("await", PLAN), []) == "l2a job logs grpo-20261122"
    assert typed("retrain", task("promote", PLAN), WHERE[:2]) == (
        "l2a promote grpo-20261122 --warehouse '/my warehouse'"
    )


def test_a_step_is_typed_as_it_was_submitted() -> None:
    step = task("rollout", step_name="rollout", application_args=["--condition", "sft", *WHERE])
    command = typed("retrain", step, WHERE)
    assert command == "l2a rollout --condition sft --warehouse '/my warehouse' --config l2a.toml"
    taken(command)


@pytest.mark.parametrize(
    "red",
    [
        task("compared", PLAN),
        task("await", object()),
        task("await"),
        task("check", "{{ params.date or (data_interval_start | ds) }}"),
        task("rollout", step_name="rollout", application_args=object()),
        task("ingest", step_name="ingest", application_args=["landing", "--date", "{{ ds }}"]),
    ],
    ids=["no command", "no plan yet", "no arguments", "no night yet", "step without arguments", "step not filled in"],
)
def test_where_there_is_no_command_or_nobody_knows_what_about_nothing_is_said(red: Any) -> None:
    dag_id = "nightly_logs" if red.task_id in ("check", "ingest") else "retrain"
    assert typed(dag_id, red, WHERE) is None
    assert "what to type" not in advice("/nowhere", "embedded", red.task_id, None, "", "log")
