"""`l2a sql` and `l2a status`: formats, errors, and that nothing but reading happens. No Spark."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import strategies as st
from literal import ROWS

from l2a.sql import command, output, status
from l2a.sql.statement import names_in
from l2a.tables import page
from l2a.tables.contracts import BY_NAME

ARROW = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", "UTC"),
    "array<string>": pa.list_(pa.string()),
    "map<string,string>": pa.map_(pa.string(), pa.string()),
}
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """Literal rows of the tables that need no Spark to be written."""
    for name in ("quarantine", "runs", "turns", "rollouts", "objectives"):
        schema = pa.schema([(column.name, ARROW[column.type]) for column in BY_NAME[name].columns])
        write_deltalake(tmp_path / name, pa.Table.from_pylist([_pairs(row) for row in ROWS[name]], schema))
    return tmp_path


def _pairs(row: dict[str, Any]) -> dict[str, Any]:
    """A row with maps as Arrow takes them."""
    return {name: list(value.items()) if isinstance(value, dict) else value for name, value in row.items()}


def run(warehouse: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command.command, [*arguments, "--warehouse", str(warehouse)])


def test_csv_reads_back_as_it_was(warehouse: Path) -> None:
    sql = "SELECT reason, raw, position, position IS NULL AS unknown, [1, 2] AS list FROM quarantine ORDER BY ALL"
    result = run(warehouse, sql, "--format", "csv")
    assert result.exit_code == 0, result.output
    read = list(csv.reader(io.StringIO(result.stdout)))
    assert read[0] == ["reason", "raw", "position", "unknown", "list"]
    assert read[1:] == [
        ["no session id", "", "", "true", "[1, 2]"],
        ["not JSON: at 7", '{"a', "3", "false", "[1, 2]"],
        ["not JSON: at 9", ROWS["quarantine"][1]["raw"], "4", "false", "[1, 2]"],
    ]


def test_json_is_one_array_of_objects(warehouse: Path) -> None:
    sql = "SELECT started_at, {'a': [1.5, NULL]} AS nested, now() > started_at AS past FROM runs LIMIT 1"
    result = run(warehouse, sql, "--format", "json")
    assert json.loads(result.stdout) == [
        {"started_at": "2026-11-21T09:30:00.250000Z", "nested": {"a": [1.5, None]}, "past": True}
    ]
    assert json.loads(run(warehouse, "SELECT * FROM runs WHERE false", "--format", "json").stdout) == []


def test_columns_of_the_same_name_are_numbered_and_none_is_lost(warehouse: Path) -> None:
    sql = "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a, now() > started_at AS a FROM runs LIMIT 1"
    names = ["a", "a_2", "a_1", "a_3", "a_4"]
    assert json.loads(run(warehouse, sql, "--format", "json").stdout) == [
        dict(zip(names, [1, 2, 3, 4, True], strict=True))
    ]
    assert run(warehouse, sql, "--format", "csv").stdout.splitlines() == [",".join(names), "1,2,3,4,true"]
    assert run(warehouse, sql).stdout.split()[:5] == names
    both = "SELECT * FROM runs r JOIN runs s ON r.run_id = s.run_id"
    joined = json.loads(run(warehouse, both, "--format", "json").stdout)
    assert joined[0]["run_id"] == joined[0]["run_id_1"]


def test_a_table_is_aligned_and_whole_when_piped(warehouse: Path) -> None:
    result = run(
        warehouse, "SELECT '中文' AS a, repeat('x', 500) AS b, 1 AS n UNION ALL SELECT 'abc', 'y', 22 ORDER BY n"
    )
    head, _, first, second = result.stdout.splitlines()
    assert first == "中文  " + "x" * 500 + "   1"
    assert head.startswith("a     b")
    assert second.endswith("22")


def test_text_from_logs_cannot_command_the_terminal(warehouse: Path) -> None:
    result = run(warehouse, "SELECT 'a' || chr(27) || '[2J' || chr(10) || 'b' AS raw")
    assert result.stdout.splitlines()[2] == "a\\x1b[2J\\nb"


def test_wide_cells_are_cut_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    output.table(["a"], iter([("x" * 500,)]), out)
    assert out.getvalue().splitlines()[2] == "x" * (output.WIDEST_CELL - 1) + "…"


@given(st.lists(st.tuples(st.one_of(st.none(), st.text()), st.text()), max_size=5))
def test_any_text_survives_csv_and_json(rows: list[tuple[str | None, str]]) -> None:
    out = io.StringIO(newline="")
    output.csv(["a", "b"], iter(rows), out)
    read = list(csv.reader(io.StringIO(out.getvalue(), newline="")))
    assert read == [["a", "b"], *[[a or "", b] for a, b in rows]]
    out = io.StringIO()
    output.json_array(["a", "b"], iter(rows), out)
    assert json.loads(out.getvalue()) == [{"a": a, "b": b} for a, b in rows]


def test_null_and_empty_text_differ_in_csv() -> None:
    out = io.StringIO()
    output.csv(["a", "b"], iter([(None, "")]), out)
    assert out.getvalue() == 'a,b\n,""\n'


def test_values_of_every_kind_have_a_text() -> None:
    assert output.text(dt.date(2026, 11, 21)) == "2026-11-21"
    assert output.text(float("nan")) == "nan"
    assert output.text({"k": [True, None, b"\x00"]}) == '{"k": [true, null, "AA=="]}'


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT reson FROM quarantine", "there is no column reson; nearest: reason"),
        ("SELECT q.reson FROM quarantine q", "there is no column reson; nearest: reason"),
        ("SELECT * FROM quarantines", "there is no table or view quarantines; nearest: quarantine"),
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT 1; SELECT 2", "one SQL statement is run at a time, and there are 2"),
        ("", "there are none"),
        ("SELECT CAST(reason AS int) FROM quarantine", "Could not convert string"),
    ],
)
def test_an_error_is_a_sentence_that_names_what_is_near(warehouse: Path, sql: str, said: str) -> None:
    result = run(warehouse, sql)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == "" or "CAST" in sql


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{folder}/turns/x.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/turns/x.csv'",
        "EXPLAIN /* */ ANALYZE COPY (SELECT 1) TO '{folder}/turns/x.csv'",
        "ATTACH '{folder}/x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "CREATE TABLE x AS SELECT 1",
        "DROP VIEW turns",
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT * FROM read_text('{folder}/../{name}-secret.txt')",
        "SELECT * FROM '/etc/hostname'",
        "SELECT * FROM glob('/etc/*')",
    ],
)
def test_nothing_but_the_warehouse_is_read_and_nothing_is_written(warehouse: Path, sql: str) -> None:
    secret = warehouse.parent / f"{warehouse.name}-secret.txt"
    secret.write_text("secret")
    before = sorted(warehouse.rglob("*"))
    result = run(warehouse, sql.format(folder=warehouse, name=warehouse.name))
    assert result.exit_code == 2, result.output
    assert sorted(warehouse.rglob("*")) == before


def test_a_file_of_sql_into_a_file_of_rows(warehouse: Path, tmp_path: Path) -> None:
    question, answer = tmp_path / "question.sql", tmp_path / "answer.csv"
    question.write_text("-- how many?\nSELECT count(*) AS n FROM turns;\n", encoding="utf-8")
    result = run(warehouse, "--file", str(question), "--format", "csv", "--output", str(answer))
    assert (result.exit_code, result.stdout) == (0, "")
    assert answer.read_text() == "n\n6\n"


def test_a_query_that_fails_leaves_the_older_answer(warehouse: Path, tmp_path: Path) -> None:
    answer = tmp_path / "answer.csv"
    answer.write_text("older")
    result = run(warehouse, "SELECT CAST(reason AS int) FROM quarantine", "--output", str(answer))
    assert result.exit_code == 2
    assert answer.read_text() == "older"
    assert [path.name for path in tmp_path.glob(".answer*")] == []


@pytest.mark.parametrize(("target", "said"), [("runs", "it is a folder"), ("none/answer.csv", "there is no folder")])
def test_an_answer_that_cannot_be_written_is_refused_and_leaves_nothing(
    warehouse: Path, target: str, said: str
) -> None:
    before = sorted(warehouse.rglob("*"))
    result = run(warehouse, "SELECT 1", "--output", str(warehouse / target))
    assert result.exit_code == 2 and f"cannot write {warehouse / target}: {said}" in result.output
    assert sorted(warehouse.rglob("*")) == before


def test_times_with_a_zone_are_shown_in_utc(warehouse: Path) -> None:
    sql = "SELECT TIMESTAMPTZ '2026-11-21 09:30:00+02' AS t, [TIMESTAMPTZ '2026-11-21 00:00:00+00'] AS t; -- twice"
    assert run(warehouse, sql, "--format", "csv").stdout == 't,t_1\n2026-11-21T07:30:00Z,"[""2026-11-21T00:00:00Z""]"\n'


def test_status_tells_the_last_runs_and_what_waits(warehouse: Path) -> None:
    result = CliRunner().invoke(status.command, ["--warehouse", str(warehouse)])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("2026-")] == ["slice", "extract", "ingest", "ingest"]
    waiting = {line.split("  ")[0]: line.split()[-3] for line in lines if line.endswith(("slice", "extract", "grade"))}
    assert waiting["dialogues not sliced"] == "0"
    assert waiting["usable turns without an objective of x-1"] == "0"
    assert waiting["rollouts without a grade under x-1"] == "5"


def append(warehouse: Path, name: str, *rows: dict[str, Any]) -> None:
    """Adds rows; a column that a row does not have is null."""
    schema = pa.schema([(column.name, ARROW[column.type]) for column in BY_NAME[name].columns])
    write_deltalake(warehouse / name, pa.Table.from_pylist([_pairs(row) for row in rows], schema), mode="append")


def test_status_waits_for_no_grade_that_grade_would_not_make(warehouse: Path) -> None:
    """Rollouts are made for all usable turns; what the extractor left out of them, or could not read, is not graded."""
    answers = [row for row in ROWS["rollouts"] if row["status"] == "ok"]
    append(warehouse, "rollouts", *[{**row, "session_id": "wenzhen-1"} for row in answers])
    result = CliRunner().invoke(status.command, ["--warehouse", str(warehouse)])
    (line,) = [line for line in result.stdout.splitlines() if line.endswith("l2a grade")]
    assert line.split()[-3] == "5"
    append(warehouse, "grades", *[{**row, "extractor": "x-1", "grader": "g-1"} for row in map(_of_grades, answers)])
    for grader, left in (("g-1", "0"), ("llm", "5")):
        environment = {"L2A_JUDGE__GRADER": grader}
        result = CliRunner().invoke(status.command, ["--warehouse", str(warehouse)], env=environment)
        (line,) = [line for line in result.stdout.splitlines() if line.endswith("l2a grade")]
        assert line.split()[-3] == left, "what another grader has graded waits for this one"


def _of_grades(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in BY_NAME["grades"].column_names}


def test_status_shows_the_mark_before_a_replacing_run_only_while_no_run_has_ended_ok_after_it(warehouse: Path) -> None:
    def shown() -> list[str]:
        result = CliRunner().invoke(status.command, ["--warehouse", str(warehouse)])
        assert result.exit_code == 0, result.output
        return [line.split()[1] for line in result.stdout.splitlines() if status.REPLACING in line]

    last = max(row["started_at"] for row in ROWS["runs"])
    runs = {row["step"]: row for row in ROWS["runs"]}
    mark = {"run_id": "m", "status": "failed", "error": status.REPLACING}
    append(warehouse, "runs", {**runs["extract"], **mark, "started_at": last - dt.timedelta(seconds=1)})
    assert shown() == []
    append(warehouse, "runs", {**runs["slice"], **mark, "started_at": last + dt.timedelta(seconds=1)})
    assert shown() == ["slice"]
    append(
        warehouse, "runs", {**runs["slice"], "run_id": "s", "subject": "other", "started_at": last.replace(year=2027)}
    )
    assert shown() == ["slice"], "a run of another subject says nothing of this one"
    append(warehouse, "runs", {**runs["slice"], "run_id": "t", "started_at": last.replace(year=2027)})
    assert shown() == []


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("WITH turns AS (SELECT * FROM turns) SELECT count(*) AS n FROM turns", "6"),
        ("WITH Turns AS (SELECT * FROM turns WHERE turn = 1) SELECT count(*) AS n FROM turns", "3"),
        ("WITH a AS (FROM turns), turns AS (FROM a WHERE turn = 1) SELECT count(*) AS n FROM turns", "3"),
        ("SELECT (WITH turns AS (FROM runs) SELECT count(*) FROM turns) + count(*) AS n FROM turns", "10"),
        (
            "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 4) SELECT max(x) AS n FROM n",
            "4",
        ),
    ],
)
def test_a_name_given_by_with_may_be_that_of_the_table_it_reads(warehouse: Path, sql: str, answer: str) -> None:
    result = run(warehouse, sql, "--format", "csv")
    assert (result.exit_code, result.stdout) == (0, f"n\n{answer}\n"), result.output


def test_a_name_given_by_with_costs_no_table_that_is_not_read() -> None:
    assert names_in("SELECT text AS explain FROM rollouts") == names_in("EXPLAIN FROM rollouts") == {"rollouts"}
    assert names_in("WITH q AS (FROM turns) SELECT * FROM Q JOIN runs r ON true") == {"turns", "runs"}


def test_neither_command_starts_spark_or_loads_what_it_does_not_need(warehouse: Path) -> None:
    code = (
        "import sys; from click.testing import CliRunner; from l2a.sql.command import command; "
        f"r = CliRunner().invoke(command, ['SELECT count(*) FROM runs', '--warehouse', {str(warehouse)!r}]); "
        "assert r.exit_code == 0, r.output; "
        "print(sorted({'pyspark', 'torch', 'pandas', 'sqlglot', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_of_tables_is_current() -> None:
    kept = (REPOSITORY / "docs" / "tables.md").read_text(encoding="utf-8")
    assert kept == page.page(), "run: python -m l2a.tables.page > docs/tables.md"
