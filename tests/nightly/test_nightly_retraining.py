"""When it is time to train again: the rule, on tables of a few rows, without Spark."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from whole_tables import table

from l2a.cli import main
from l2a.nightly.retraining import Decision, condition_name, decide
from l2a.settings import RetrainSettings

NOW = dt.datetime(2026, 11, 22, 4, 0, tzinfo=dt.UTC)
EXTRACTOR = "embedded-1"


def write(warehouse: Path, usable: int, trained: int | None = None, days_ago: float = 3.0) -> None:
    """Tables with so many usable train turns, beside others that do not count, and perhaps a training."""

    turns = [
        {"session_id": f"s-{n}", "turn": 1, "dialogue_version": "v", "split": "train", "dropped_reason": None}
        for n in range(usable)
    ]
    others = [
        {**turns[0], "session_id": "eval", "split": "eval"},
        {**turns[0], "session_id": "dropped", "dropped_reason": "outcome"},
        {**turns[0], "session_id": "failed"},
    ]
    table(warehouse, "turns", *turns, *others)
    objectives = [
        {"session_id": turn["session_id"], "turn": 1, "dialogue_version": "v", "extractor": extractor,
         "status": "failed" if turn["session_id"] == "failed" else "ok", "dropped_reason": None}
        for turn in turns + others
        for extractor in (EXTRACTOR, "embedded-0")
    ]  # fmt: skip
    table(warehouse, "objectives", *objectives)
    run = {"run_id": "r", "step": "extract", "subject": EXTRACTOR, "status": "ok", "started_at": NOW}
    before = {**run, "run_id": "q", "subject": "embedded-0", "started_at": NOW - dt.timedelta(days=9)}
    table(warehouse, "runs", run, before)
    if trained is not None:
        training = {"condition": "grpo-20261119", "training_id": "t", "method": "grpo", "usable_turns": trained,
                    "extractor": EXTRACTOR}  # fmt: skip
        table(warehouse, "trainings", {**training, "created_at": NOW - dt.timedelta(days=days_ago)})


def decided(warehouse: Path, **settings: Any) -> Decision:
    given = {"min_new_turns": 50, "min_new_share": 0.5, "min_days": 2.0, **settings}
    return decide(str(warehouse), RetrainSettings(**given), NOW)


def test_the_first_training_needs_enough_usable_turns(tmp_path: Path) -> None:
    write(tmp_path, usable=49)
    found = decided(tmp_path)
    assert (found.due, found.usable_turns, found.new_turns) == (False, 49, 49)
    assert found.why == "not due: 49 usable turns and no grpo trained yet; needed are 50 or 50%"
    assert decided(tmp_path, min_new_turns=49).due


def test_enough_new_turns_are_enough_however_small_their_share(tmp_path: Path) -> None:
    write(tmp_path, usable=150, trained=100)
    found = decided(tmp_path)
    assert found.due
    assert found.why == "due: +50 usable turns (+50.0%) since grpo-20261119; needed are 50 or 50%"


def test_a_large_enough_share_is_enough_however_few_they_are(tmp_path: Path) -> None:
    write(tmp_path, usable=15, trained=10)
    assert decided(tmp_path).due
    assert not decided(tmp_path, min_new_share=0.6).due


def test_not_before_the_days_are_over(tmp_path: Path) -> None:
    write(tmp_path, usable=300, trained=100, days_ago=1.5)
    found = decided(tmp_path)
    assert not found.due
    assert "it was trained 1.5 days ago; needed are 2 days" in found.why
    assert decided(tmp_path, min_days=1.5).due


def test_trainings_of_other_methods_do_not_count(tmp_path: Path) -> None:
    write(tmp_path, usable=60, trained=60, days_ago=0.1)
    assert not decided(tmp_path).due
    assert decided(tmp_path, method="dpo").due


def test_by_another_extractor_the_turns_of_dialogues_that_came_since_are_what_is_new(tmp_path: Path) -> None:
    """One extractor's usable turns less another's are no growth."""
    write(tmp_path, usable=60, trained=100)
    began = NOW - dt.timedelta(days=4)
    arrived = [{"session_id": f"s-{n}", "ingested_at": began + dt.timedelta(hours=n - 40)} for n in range(60)]
    table(tmp_path, "dialogues", *arrived)
    training = {"condition": "grpo-1", "training_id": "t", "method": "grpo", "usable_turns": 100, "started_at": began}
    for extractor, new in (("embedded-0", 19), (EXTRACTOR, -40)):
        table(tmp_path, "trainings", {**training, "extractor": extractor, "created_at": NOW - dt.timedelta(days=3)})
        assert decided(tmp_path).new_turns == new


def test_an_empty_warehouse_is_not_due(tmp_path: Path) -> None:
    assert not decided(tmp_path).due


def test_a_condition_is_named_by_its_day_and_never_like_one_that_is_there() -> None:
    day = dt.date(2026, 11, 22)
    assert condition_name("grpo", day, set()) == "grpo-20261122"
    assert condition_name("grpo", day, {"grpo-20261122", "grpo-20261122-2"}) == "grpo-20261122-3"


@pytest.mark.parametrize(("form", "says"), [("text", "not due: 0 usable turns"), ("json", '"due": false')])
def test_the_command_says_why(tmp_path: Path, form: str, says: str) -> None:
    done = CliRunner().invoke(main, ["retrain-due", "--warehouse", str(tmp_path), "--format", form])
    assert done.exit_code == 0, done.output
    assert says in done.stdout
