"""What a night's checks see, and what they leave to other nights."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from whole_tables import table

from l2a.cli import main
from l2a.json_file import write_json
from l2a.nightly.advice import advice
from l2a.nightly.checks import check_night, check_warehouse
from l2a.nightly.leftovers import clean_trainings
from l2a.settings import NightlySettings, load

AT = dt.datetime(2026, 11, 21, 2, 0, tzinfo=dt.UTC)
NIGHT, OTHER = "2026-11-20", "2026-11-21"


def source(night: str) -> str:
    return f"file:/landing/dt={night}/part-0.jsonl"


def file(night: str) -> dict[str, Any]:
    return {"path": source(night), "size_bytes": 1, "modified_at": AT, "mapping": "native", "run_id": f"r-{night}"}


def run(night: str, lines: int = 10, rejected: int = 0, new: int | None = None) -> dict[str, Any]:
    good = lines - rejected if new is None else new
    return {"run_id": f"r-{night}", "step": "ingest", "subject": "native", "started_at": AT, "status": "ok",
            "rows_in": lines, "rows_new": good, "rows_quarantined": rejected}  # fmt: skip


EXTRACTED = {"run_id": "x", "step": "extract", "subject": "j-1", "started_at": AT, "status": "ok", "rows_in": 1,
             "rows_new": None, "rows_quarantined": None}  # fmt: skip


def talk(session: str, night: str, version: str = "v1") -> dict[str, Any]:
    return {"session_id": session, "dialogue_version": version, "source": source(night), "domain": "bank"}


def turn(session: str, number: int, final: bool, version: str = "v1") -> dict[str, Any]:
    return {"session_id": session, "turn": number, "is_final": final, "dialogue_version": version, "split": "train",
            "dropped_reason": "outcome" if final else None}  # fmt: skip


def objective(session: str, status: str = "ok") -> dict[str, Any]:
    return {"session_id": session, "turn": 1, "dialogue_version": "v1", "extractor": "j-1", "status": status,
            "dropped_reason": None}  # fmt: skip


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """A night that is whole, and a later one that is under way."""
    table(tmp_path, "sources", file(NIGHT), file(OTHER))
    table(tmp_path, "runs", run(NIGHT), run(OTHER), EXTRACTED)
    table(tmp_path, "dialogues", talk("s-1", NIGHT), talk("s-2", OTHER))
    table(tmp_path, "turns", turn("s-1", 1, False), turn("s-1", 2, True))
    table(tmp_path, "objectives", objective("s-1"))
    return tmp_path


def failed(warehouse: Path, night: str = NIGHT) -> list[str]:
    return [found.about for found in check_night(str(warehouse), night, NightlySettings()) if not found.ok]


def test_a_whole_night_is_green_while_another_is_under_way(warehouse: Path) -> None:
    assert failed(warehouse) == []
    assert failed(warehouse, OTHER) == ["dialogues are sliced"]
    waiting = [found.about for found in check_warehouse(str(warehouse)) if not found.ok]
    assert waiting == ["dialogues that are not sliced"]


def test_a_night_of_which_nothing_was_read_is_red(warehouse: Path) -> None:
    assert failed(warehouse, "2026-11-22") == ["the night's files"]


def test_rejected_lines_are_red_above_the_share_and_lines_in_no_count_at_once(warehouse: Path) -> None:
    table(warehouse, "runs", run(NIGHT, rejected=4), run(OTHER), EXTRACTED)
    assert failed(warehouse) == ["rejected lines"]
    assert "4 of 10 (40.0%)" in str(check_night(str(warehouse), NIGHT, NightlySettings()))
    table(warehouse, "runs", run(NIGHT, new=9), run(OTHER), EXTRACTED)
    assert "every line is accounted for" in failed(warehouse)


def test_missing_and_failed_objectives_are_told_apart(warehouse: Path) -> None:
    table(warehouse, "objectives", objective("s-1", "failed"))
    assert failed(warehouse) == ["failed extractions"]
    table(warehouse, "objectives", objective("somebody else"))
    assert failed(warehouse) == ["usable turns have objectives"]


def test_turns_that_do_not_add_up_are_red_for_their_own_night_only(warehouse: Path) -> None:
    table(warehouse, "turns", turn("s-1", 1, False), turn("s-1", 2, True), turn("s-2", 2, True), turn("gone", 1, True))
    assert failed(warehouse) == [], "what is wrong with another night, or with no night, is not this night's"
    assert failed(warehouse, OTHER) == ["turns add up to their dialogues"]
    table(warehouse, "turns", turn("s-1", 1, False), turn("s-1", 2, True), turn("s-1", 2, True), turn("gone", 1, True))
    assert failed(warehouse) == ["turns add up to their dialogues"]


def test_what_must_never_be_is_red_for_the_whole_warehouse(warehouse: Path) -> None:
    table(warehouse, "turns", turn("s-1", 1, False), turn("s-1", 2, True), turn("s-1", 2, True), turn("gone", 1, True))
    assert [found.about for found in check_warehouse(str(warehouse)) if not found.ok] == [
        "dialogues without exactly one final turn, or without turns from 1 on",
        "turns of a dialogue that is not there",
        "dialogues that are not sliced",
        "keys are unique",
    ]


def test_a_night_that_was_repaired_is_green(warehouse: Path) -> None:
    wrong = {**run(NIGHT, rejected=10), "run_id": "wrong mapping", "started_at": AT - dt.timedelta(hours=1)}
    before = {**file(NIGHT), "mapping": "openai", "run_id": "wrong mapping", "ingested_at": AT - dt.timedelta(hours=1)}
    table(warehouse, "runs", wrong, run(NIGHT), run(OTHER), EXTRACTED)
    table(warehouse, "sources", before, {**file(OTHER), "ingested_at": AT})
    assert failed(warehouse) == ["rejected lines"]
    table(warehouse, "sources", before, {**file(NIGHT), "ingested_at": AT}, {**file(OTHER), "ingested_at": AT})
    assert failed(warehouse) == []


def test_the_command_ends_with_1_and_says_what_helps(warehouse: Path) -> None:
    def check(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["check", "--warehouse", str(warehouse), *words])
        return done.exit_code, done.output

    assert check("--date", NIGHT)[0] == 0
    code, said = check("--date", OTHER)
    assert code == 1
    assert "what helps: l2a slice" in said
    assert check("--date", "yesterday")[0] == 2


def test_the_last_word_says_what_is_left_what_to_type_and_where_the_log_is(warehouse: Path) -> None:
    said = advice(
        str(warehouse),
        "embedded",
        "slice",
        "l2a slice --warehouse '/w h'",
        "Traceback\nTableMissing: no table",
        "http://log",
    )
    assert said.splitlines() == [
        "slice failed: TableMissing: no table",
        "left: 1 dialogues are not sliced. What was finished is kept, and no call that was answered is paid again.",
        "what to type: l2a slice --warehouse '/w h'",
        "its log: http://log",
    ]


def test_rollouts_that_grade_leaves_out_are_not_left_to_grade(warehouse: Path) -> None:
    place = {"condition": "c", "turn": 1, "dialogue_version": "v1", "sample": 0, "model_version": "m", "status": "ok"}
    table(warehouse, "rollouts", {**place, "session_id": "s-1"}, {**place, "session_id": "left out"})
    left_out = {**objective("left out"), "dropped_reason": "nothing_gained"}
    table(warehouse, "objectives", objective("s-1"), left_out)

    def left(grader: str) -> str:
        return advice(str(warehouse), grader, "grade", None, "killed", "log").splitlines()[1]

    assert left("embedded").startswith("left: 1 rollouts have no grade.")
    table(warehouse, "grades", {**place, "session_id": "s-1", "extractor": "j-1", "grader": "embedded-1"})
    assert left("embedded").startswith("left: 0 rollouts have no grade.")
    assert left("llm").startswith("left: 1 rollouts have no grade."), "another grader has still to be asked"


def test_a_warehouse_that_cannot_be_read_does_not_take_the_last_word_away(tmp_path: Path) -> None:
    assert "the tables cannot be read" in advice(
        str(tmp_path / "none"), "embedded", "extract", "l2a extract", "", "log"
    )


def test_only_what_is_old_and_over_is_cleaned_away(tmp_path: Path) -> None:
    stages = tmp_path / "_training" / "stages"
    for name, made in (("done", True), ("broken-off", False)):
        (stages / name / "checkpoints" / "checkpoint-5").mkdir(parents=True)
        if made:
            (stages / name / "model").mkdir()
    job = {"name": "j", "command": ["true"], "kind": "local", "group": None, "starts": 1, "forgiven": 0, "ids": ["1"],
           "cancelled": True, "gone": False}  # fmt: skip
    write_json(tmp_path / "_training" / "jobs" / "j" / "job.json", job)
    settings = load(None, {"warehouse": str(tmp_path)})
    assert clean_trainings(settings) == []
    now = os.stat(tmp_path).st_mtime + 15 * 86400
    assert clean_trainings(settings, now=now) == ["job j", "unfinished broken-off", "checkpoints of done"]
    assert (stages / "done" / "model").is_dir()
    assert clean_trainings(settings, now=now) == []
