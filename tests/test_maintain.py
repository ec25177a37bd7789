"""Maintenance changes no row, removes only what is over, and finds what breaks a promise."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import dialogue, dicts, rows

from l2a.errors import ChecksFailed, TableMissing
from l2a.settings import IngestSettings, Settings, load
from l2a.tables.contracts import DIALOGUES, RUNS, TURNS

if TYPE_CHECKING:
    from l2a.tables.warehouse import Warehouse

Write = Callable[[str, Iterable[Any]], str]


@pytest.fixture
def sliced(warehouse: Warehouse, write_lines: Write) -> Warehouse:
    """Two nights, ingested and sliced one after the other, so that tables are of several files."""
    from l2a.mapping import load as mapping
    from spark_jobs.ingest import ingest
    from spark_jobs.slice import slice_dialogues

    for night, sessions in (("2026-11-20", ("s-1", "s-2")), ("2026-11-21", ("s-3", "问诊 👋"))):
        path = write_lines(f"landing/dt={night}/a.jsonl", [dialogue(session) for session in sessions])
        ingest(warehouse, [path], mapping(None), IngestSettings())
        slice_dialogues(warehouse)
    return warehouse


@pytest.fixture
def settings(warehouse: Warehouse) -> Settings:
    return load(None, {"warehouse": warehouse.root})


def files(warehouse: Warehouse, table: str) -> int:
    return len(warehouse.spark.read.format("delta").load(warehouse.path(table)).inputFiles())


def test_maintenance_compacts_and_changes_no_row_and_steps_find_nothing_new(
    sliced: Warehouse, settings: Settings
) -> None:
    from spark_jobs.maintain import PARTS, maintain
    from spark_jobs.slice import slice_dialogues

    before = rows(sliced, DIALOGUES), rows(sliced, TURNS)
    many = files(sliced, "turns")
    maintain(sliced, settings)
    assert (rows(sliced, DIALOGUES), rows(sliced, TURNS)) == before
    assert files(sliced, "turns") == 1 < many
    assert {row["subject"] for row in dicts(sliced, RUNS) if row["step"] == "maintain"} == set(PARTS)
    slice_dialogues(sliced)
    assert rows(sliced, TURNS) == before[1]
    assert Path(sliced.path("turns")).is_dir()


def test_a_foreign_write_that_breaks_a_promise_is_found_and_named(sliced: Warehouse, settings: Settings) -> None:
    from spark_jobs.maintain import maintain

    path = sliced.path("turns")
    turns = sliced.read(TURNS).where("session_id = 's-1' AND is_final")
    turns.write.format("delta").mode("append").save(path)
    sliced.spark.sql(f"ALTER TABLE delta.`{path}` DROP CONSTRAINT turn_from_1")
    sliced.spark.sql(f"UPDATE delta.`{path}` SET turn = 0 WHERE session_id = 's-2' AND turn = 1")
    with pytest.raises(ChecksFailed) as found:
        maintain(sliced, settings, ("contracts", "reconcile"))
    said = str(found.value)
    assert "turns: 1 rows break 'turns are numbered from 1'" in said
    assert "turns: 1 keys come twice" in said
    assert "2 dialogues without exactly one final turn, or without turns from 1 on" in said
    assert {row["status"] for row in dicts(sliced, RUNS) if row["step"] == "maintain"} == {"failed"}


def test_an_empty_warehouse_is_maintained_without_a_word(warehouse: Warehouse, settings: Settings) -> None:
    from spark_jobs.maintain import maintain

    maintain(warehouse, settings)
    with pytest.raises(TableMissing):
        warehouse.read(DIALOGUES)


def test_staged_lines_of_a_run_that_never_comes_back_go_after_the_retention(
    warehouse: Warehouse, settings: Settings
) -> None:
    from spark_jobs.maintain import clean

    for run, days in (("at-work", 1), ("given-up", 30)):
        part = Path(warehouse.root) / "_staging" / run / "lines" / "part.parquet"
        part.parent.mkdir(parents=True)
        part.write_bytes(b"text of a customer")
        for path in (part, *part.parents[:2]):
            os.utime(path, (time.time() - days * 86_400,) * 2)
    clean(warehouse, settings)
    assert [folder.name for folder in (Path(warehouse.root) / "_staging").iterdir()] == ["at-work"]
