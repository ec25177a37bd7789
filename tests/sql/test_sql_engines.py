"""DuckDB and Spark SQL answer the same: every table, every view, every question of sql/README.md."""

from __future__ import annotations

import datetime as dt
import decimal
import functools
import re
from collections.abc import Callable
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
BESIDE = {"extractor": "'x-2'", "grader": "'g-2'", "beta": "1e0", "created_at": "created_at - INTERVAL 9 DAY"}
"""In what a copy of the literal rows differs: another judge, another beta, an earlier evaluation."""


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


@pytest.fixture(scope="module")
def with_another(literal_warehouse: str) -> Callable[[str], Answer]:
    """What DuckDB answers with a copy beside the rows that differ in a column: theirs is the value of BESIDE."""
    from l2a.sql.engine import connect, query

    @functools.cache
    def of(column: str) -> Answer:
        connection = connect(literal_warehouse)
        for name, contract in BY_NAME.items():
            evaluated = "evaluation_id" in contract.key
            if column in contract.key or (evaluated and column in contract.column_names):
                other = f"{BESIDE[column]} AS {column}" + ", evaluation_id || '-2' AS evaluation_id" * evaluated
                connection.execute(f"ALTER VIEW {name} RENAME TO first_{name}")
                both = f"FROM first_{name} UNION ALL SELECT * REPLACE ({other}) FROM first_{name}"
                connection.execute(f"CREATE VIEW {name} AS {both}")

        def answer(sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
            result = query(connection, sql)
            return result.columns, list(result.rows)

        return answer

    return of


@pytest.mark.parametrize(("column", "first"), [("extractor", "x-1"), ("grader", "g-1"), ("beta", 2.0)])
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_second_judge_or_beta_leaves_the_numbers_of_the_first(
    question: str, column: str, first: Any, in_duckdb: Answer, with_another: Callable[[str], Answer]
) -> None:
    columns, rows = with_another(column)(QUESTIONS[question])
    if column in columns:
        rows = [row for row in rows if row[columns.index(column)] == first]
    assert table((columns, rows)) == table(in_duckdb(QUESTIONS[question]))


@pytest.mark.parametrize("question", [name for name in QUESTIONS if "from evaluation to evaluation" not in name])
def test_an_earlier_evaluation_changes_only_what_is_asked_of_all_of_them(
    question: str, in_duckdb: Answer, with_another: Callable[[str], Answer]
) -> None:
    assert table(with_another("created_at")(QUESTIONS[question])) == table(in_duckdb(QUESTIONS[question]))


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
