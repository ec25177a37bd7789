"""DuckDB and Spark SQL answer the same: every table, every view, every question of sql/README.md."""

from __future__ import annotations

import datetime as dt
import decimal
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from l2a.sql import views
from l2a.tables.contracts import BY_NAME

if TYPE_CHECKING:
    from conftest import Answer

README = (Path(__file__).parents[2] / "sql" / "README.md").read_text(encoding="utf-8")
QUESTIONS = dict(re.findall(r"^### \d+\. (.+?)\n.*?```sql\n(.+?)```", README, re.MULTILINE | re.DOTALL))
NAMES = [*BY_NAME, *views.files()]
EMPTY_WHEN_ALL_IS_WELL = {"Did every input line arrive somewhere?"}


def same(value: Any) -> Any:
    """A value in the terms that both engines share: numbers as rounded floats, times as plain UTC."""
    if isinstance(value, (float, decimal.Decimal, int)) and not isinstance(value, bool):
        return round(float(value), 9)
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, dt.date):
        return dt.datetime(value.year, value.month, value.day)
    if isinstance(value, dict):
        return {key: same(item) for key, item in value.items()}
    return [same(item) for item in value] if isinstance(value, list) else value


def table(answer: tuple[list[str], list[tuple[Any, ...]]]) -> tuple[list[str], list[Any]]:
    columns, rows = answer
    return columns, sorted((same(list(row)) for row in rows), key=repr)


@pytest.mark.parametrize("name", NAMES)
def test_both_engines_read_the_same_rows(name: str, in_spark: Answer, in_duckdb: Answer) -> None:
    sql = f"SELECT * FROM {name}"
    assert table(in_duckdb(sql)) == table(in_spark(sql))


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_engines_answer_the_question_alike(question: str, in_spark: Answer, in_duckdb: Answer) -> None:
    found = table(in_duckdb(QUESTIONS[question]))
    assert found == table(in_spark(QUESTIONS[question]))
    assert bool(found[1]) == (question not in EMPTY_WHEN_ALL_IS_WELL), "the literal rows should give an answer"


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_fresh_warehouse_answers_every_question_with_no_row(question: str, tmp_path: Path) -> None:
    from l2a.sql.engine import connect, query

    assert list(query(connect(str(tmp_path)), QUESTIONS[question]).rows) == []


def test_there_are_at_least_twenty_questions_and_every_table_and_view_is_listed() -> None:
    assert len(QUESTIONS) >= 20
    assert [name for name in NAMES if f"| `{name}` |" not in README] == []


@pytest.mark.parametrize("name", views.files())
def test_a_view_opens_with_its_grain_and_what_it_answers(name: str) -> None:
    first, second = views.spark_sql(name).splitlines()[:2]
    assert first.startswith("-- Grain: one row per ")
    assert second.startswith("-- Answers: ")
