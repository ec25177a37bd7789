"""Delta tables as DuckDB reads them: what the log says beyond the files. No Spark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from l2a.errors import TableError, TableIncompatible, UsageError
from l2a.sql import storage
from l2a.sql.engine import connect, query
from l2a.sql.types import duckdb_type
from l2a.tables.contracts import BY_NAME

JUDGE = {"name": ["a"], "size": ["small"], "dialogues": [1], "fitted_on": ["x"]}


def rows(warehouse: Path, sql: str) -> list[tuple[Any, ...]]:
    return list(query(connect(str(warehouse)), sql).rows)


def test_a_column_that_an_older_version_did_not_write_is_null(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "judges", pa.table(JUDGE))
    assert rows(tmp_path, "SELECT name, dialogues, created_at FROM judges") == [("a", 1, None)]


def test_columns_come_in_the_contracts_order_whatever_the_files_say(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "judges", pa.table(dict(reversed(JUDGE.items()))))
    columns = query(connect(str(tmp_path)), "SELECT * FROM judges").columns
    assert columns == list(BY_NAME["judges"].column_names)


def test_files_from_before_and_after_an_added_column_are_one_table(tmp_path: Path) -> None:
    old = pa.table({"id": [1], "at": pa.array([{"x": 1}], pa.struct([("x", pa.int64())]))})
    new_at = pa.array([{"x": 2, "y": "z"}], pa.struct([("x", pa.int64()), ("y", pa.string())]))
    write_deltalake(tmp_path / "other", old)
    write_deltalake(
        tmp_path / "other", pa.table({"id": [2], "at": new_at, "b": ["ж"]}), mode="append", schema_mode="merge"
    )
    assert rows(tmp_path, "SELECT * FROM other ORDER BY id") == [
        (1, {"x": 1, "y": None}, None),
        (2, {"x": 2, "y": "z"}, "ж"),
    ]


def test_partition_values_are_columns(tmp_path: Path) -> None:
    table = pa.table({"day": ["a b/ü", None, "a=b"], "n": [1, 2, 3]})
    write_deltalake(tmp_path / "by_day", table, partition_by=["day"])
    assert rows(tmp_path, "SELECT n, day FROM by_day ORDER BY n") == [(1, "a b/ü"), (2, None), (3, "a=b")]


def test_a_connection_stays_in_its_snapshot(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "judges", pa.table(JUDGE))
    connection = connect(str(tmp_path))
    write_deltalake(tmp_path / "judges", pa.table(JUDGE), mode="append")
    assert list(query(connection, "SELECT count(*) FROM judges").rows) == [(1,)]
    assert rows(tmp_path, "SELECT count(*) FROM judges") == [(2,)]


def test_what_no_step_has_written_is_empty_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    connection = connect(str(tmp_path), only={"turn_texts"})
    assert list(query(connection, "SELECT * FROM turn_texts").rows) == []
    assert capsys.readouterr().err == "dialogues, turns are empty: no step has written there yet\n"


def test_folders_of_steps_at_work_are_no_tables(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "_staging", pa.table(JUDGE))
    (tmp_path / "notes").mkdir()
    names = {row[0] for row in rows(tmp_path, "SHOW TABLES")}
    assert "turns" in names
    assert not names & {"_staging", "notes"}


@pytest.mark.parametrize(("version", "age"), [("99", "newer"), ("0", "older")])
def test_a_table_of_another_l2a_is_refused(tmp_path: Path, version: str, age: str) -> None:
    write_deltalake(tmp_path / "judges", pa.table(JUDGE))
    log = tmp_path / "judges" / "_delta_log" / "00000000000000000000.json"
    said = log.read_text(encoding="utf-8")
    ours = f'"configuration":{{"l2a.contract.version":"{version}"'
    log.write_text(said.replace('"configuration":{', ours), encoding="utf-8")
    with pytest.raises(TableIncompatible, match=f"judges was written by an? {age} l2a"):
        connect(str(tmp_path))


def test_a_table_with_other_types_is_refused(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "judges", pa.table({**JUDGE, "dialogues": ["many"]}))
    with pytest.raises(TableIncompatible, match="holds string in column dialogues, this l2a reads bigint"):
        connect(str(tmp_path))


def test_a_broken_log_names_the_table(tmp_path: Path) -> None:
    log = tmp_path / "turns" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("rubbish")
    with pytest.raises(TableIncompatible, match="cannot read the table turns"):
        connect(str(tmp_path))


def test_a_file_that_is_gone_is_the_warehouses_fault(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "judges", pa.table(JUDGE))
    connection = connect(str(tmp_path))
    for file in (tmp_path / "judges").glob("*.parquet"):
        file.unlink()
    with pytest.raises(TableError, match="the tables cannot be read"):
        list(query(connection, "SELECT * FROM judges").rows)


def test_a_warehouse_that_is_no_folder_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        connect(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("name", ["it's 100% 仓库", "a b", "name=b/warehouse", "n=x"])
def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    write_deltalake(tmp_path / name / "judges", pa.table(JUDGE))
    assert rows(tmp_path / name, "SELECT name FROM judges") == [("a",)]


def test_a_warehouse_behind_a_url_reads_through_the_object_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"day": ["x y", "z"], "n": [1, 2]})
    write_deltalake(tmp_path / "wh" / "by_day", table, partition_by=["day"])
    write_deltalake(tmp_path / "wh" / "judges", pa.table(JUDGE))
    monkeypatch.setattr(storage, "find", storage.Remote)
    connection = connect((tmp_path / "wh").as_uri())
    assert list(query(connection, "SELECT name FROM judges").rows) == [("a",)]
    assert list(query(connection, "SELECT n, day FROM by_day ORDER BY n").rows) == [(1, "x y"), (2, "z")]


def test_types_of_spark_have_their_types_in_duckdb() -> None:
    assert duckdb_type("array<struct<a b:string,m:map<string,decimal(10,2)>>>") == (
        'STRUCT("a b" VARCHAR, "m" MAP(VARCHAR, DECIMAL(10,2)))[]'
    )
    with pytest.raises(ValueError, match="variant"):
        duckdb_type("variant")
