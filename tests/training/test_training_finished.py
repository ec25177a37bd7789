"""The row of a finished training: one a training, and a condition's newest is the model that the registry has now."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

from deltalake import DeltaTable

from l2a.sql import engine
from l2a.tables.contract import VERSION_PROPERTY
from l2a.tables.contracts import TRAININGS
from training.finished import Training, leave
from training.results import read

A = Training(
    condition="grpo",
    training_id="a",
    method="grpo",
    recipe="ci",
    seed=0,
    model_version="m-a",
    registry_version=1,
    mlflow_run_id="run-1",
    extractor="x-1",
    grader=None,
    dialogues_version=0,
    turns_version=0,
    objectives_version=0,
    usable_turns=9,
    trained_turns=9,
    steps=3,
    started_at=dt.datetime(2026, 11, 23, tzinfo=dt.UTC),
    seconds=1.0,
)
B = dataclasses.replace(A, training_id="b", model_version="m-b", registry_version=2, mlflow_run_id="run-2")


def rows(warehouse: Path) -> list[tuple[object, ...]]:
    """Oldest first."""
    sql = "SELECT training_id, registry_version, mlflow_run_id, created_at FROM trainings ORDER BY created_at"
    return list(engine.query(engine.connect(str(warehouse), ("trainings",)), sql).rows)


def test_a_training_that_is_made_again_after_another_is_the_newest_again(tmp_path: Path) -> None:
    for training in (A, B, dataclasses.replace(A, registry_version=3, mlflow_run_id="run-3")):
        leave(str(tmp_path), training)
    assert [row[:3] for row in rows(tmp_path)] == [("b", 2, "run-2"), ("a", 3, "run-3")]
    (newest,) = read(str(tmp_path), 20, "no evaluation").trainings
    assert newest["model_version"] == "m-a"


def test_the_table_is_from_its_first_version_on_one_that_steps_read(tmp_path: Path) -> None:
    leave(str(tmp_path), A)
    first = DeltaTable(str(tmp_path / TRAININGS.name), version=0)
    assert first.metadata().configuration[VERSION_PROPERTY] == str(TRAININGS.version)


def test_a_row_that_is_written_again_stays_as_it_is(tmp_path: Path) -> None:
    leave(str(tmp_path), A)
    before = rows(tmp_path)
    leave(str(tmp_path), dataclasses.replace(A, seconds=2.0))  # killed before it was noted down as finished
    assert rows(tmp_path) == before
