"""What lies in the spool reaches the table, whatever the warehouse is called, and goes only then."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from helpers import dicts, open_warehouse
from pyspark.sql import SparkSession

from l2a.llm import spool
from l2a.llm.answer import AnswerRow
from l2a.tables.contracts import LLM_CALLS
from spark_jobs import calls


def row(request_id: str) -> AnswerRow:
    return AnswerRow(
        request_id=request_id, model="m", model_version="1", endpoint="http://e/v1", status="ok", error_class=None,
        error=None, text="yes", parsed=None, prompt_tokens=7, cached_tokens=3, completion_tokens=1, latency_ms=5,
        attempts=1, last_status=200, finish_reason="stop", created_at=dt.datetime(2026, 11, 21, tzinfo=dt.UTC),
    )  # fmt: skip


def test_answers_of_a_dead_run_are_kept_in_a_warehouse_whose_name_looks_like_a_pattern(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = open_warehouse(spark, tmp_path / "wh[prod] {a,b}?* 仓")
    monkeypatch.setattr(calls, "DEAD_AFTER_SECONDS", -1)
    spool.Spool(warehouse.root, "dead").store(0, 0, [row("a"), row("b")])
    calls.drain(warehouse)
    assert {found["request_id"] for found in dicts(warehouse, LLM_CALLS)} == {"a", "b"}
    assert spool.runs(warehouse.root) == {}


def test_what_could_not_be_read_is_not_removed(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = open_warehouse(spark, tmp_path / "warehouse")
    monkeypatch.setattr(calls, "DEAD_AFTER_SECONDS", -1)
    monkeypatch.setattr(calls, "_merge", lambda *_: None)
    spool.Spool(warehouse.root, "dead").store(0, 0, [row("a")])
    spool.Spool(warehouse.root, "empty").tell_alive()
    calls.drain(warehouse)
    assert list(spool.runs(warehouse.root)) == ["dead"]
