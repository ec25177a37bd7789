"""Parquet logs: typed columns, columns that only some files have, and the same checks as for JSON lines."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import dialogue, dicts

from l2a.errors import InputUnreadable


def write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


MESSAGE = pa.struct(
    [("role", pa.string()), ("content", pa.string()), ("ts", pa.timestamp("us", tz="UTC")), ("extra", pa.int64())]
)


def test_typed_columns_missing_columns_and_files_that_do_not_fit_together(take, tmp_path, warehouse) -> None:
    from l2a.tables.contracts import DIALOGUES, QUARANTINE

    moment = dt.datetime(2026, 11, 21, 9, 30, tzinfo=dt.UTC)
    typed = pa.schema(
        [
            ("session_id", pa.string()),
            ("updated_at", pa.timestamp("us", tz="UTC")),
            ("odd name.x", pa.int32()),
            ("messages", pa.list_(MESSAGE)),
        ]
    )
    words = [{"role": "user", "content": "你好", "ts": moment}, {"role": "assistant", "content": "?"}]
    good = {"session_id": "typed", "updated_at": moment, "odd name.x": 1, "messages": words}
    nobody = {**good, "session_id": None}
    silent = {**good, "session_id": "silent", "messages": words[1:]}
    write(tmp_path / "in/a.parquet", [good, nobody, silent], typed)
    write(tmp_path / "in/b.parquet", [dialogue("plain", "a", domain="bank", updated_at="2026-11-21T00:00:00Z")])
    write(tmp_path / "in/c.parquet", [{**dialogue("x", "a"), "session_id": 7}])

    counts = take(str(tmp_path / "in"))
    assert (counts.rows_in, counts.rows_new, counts.rows_quarantined) == (5, 2, 3)
    plain, found = dicts(warehouse, DIALOGUES)
    assert (plain["session_id"], plain["domain"], plain["updated_at"]) == ("plain", "bank", dt.datetime(2026, 11, 21))
    assert found["updated_at"] == found["messages"][0]["ts"] == dt.datetime(2026, 11, 21, 9, 30)
    assert [m["content"] for m in found["messages"]] == ["你好", "?"]
    rejected = [(r["source"][-9:], r["position"], r["reason"].split(":")[0]) for r in dicts(warehouse, QUARANTINE)]
    assert rejected == [
        ("a.parquet", 2, "no session id"),
        ("a.parquet", 3, "no user message"),
        ("c.parquet", 1, "session id of the wrong type"),
    ]
    assert all('"messages"' in row["raw"] for row in dicts(warehouse, QUARANTINE))


def test_times_in_nanoseconds_are_read_wherever_they_stand(take, tmp_path, warehouse, spark) -> None:
    from l2a.tables.contracts import DIALOGUES

    moment = dt.datetime(2026, 11, 21, 9, 30, 0, 123456, tzinfo=dt.UTC)
    fields = [MESSAGE.field(i) for i in range(MESSAGE.num_fields)]
    fields[2] = pa.field("ts", pa.timestamp("ns"))
    columns = [
        ("count", pa.int64()),
        ("session_id", pa.string()),
        ("messages", pa.list_(pa.struct(fields))),
        ("odd.name", pa.map_(pa.string(), pa.timestamp("ns"))),
        ("updated_at", pa.timestamp("ns", tz="UTC")),
    ]
    words = [{"role": "user", "content": "hi", "ts": moment.replace(tzinfo=None), "extra": 5}, None]
    words[1] = {"role": "assistant", "content": "?", "ts": None}
    row = {"session_id": "nano", "count": 3, "messages": words, "odd.name": [("a", moment)], "updated_at": moment}
    write(tmp_path / "in/nano.parquet", [row, {**row, "session_id": "none", "updated_at": None}], pa.schema(columns))
    write(tmp_path / "in/plain.parquet", [dialogue("plain", "a")])

    before = spark.conf.get("spark.sql.legacy.parquet.nanosAsLong")
    assert take(str(tmp_path / "in")).rows_new == 3
    assert spark.conf.get("spark.sql.legacy.parquet.nanosAsLong") == before
    found = {row["session_id"]: row for row in dicts(warehouse, DIALOGUES)}
    said = moment.replace(tzinfo=None)
    assert [found[name]["updated_at"] for name in ("nano", "none")] == [said, None]
    assert [message["ts"] for message in found["none"]["messages"]] == [said, None]
    (tmp_path / "in/cut.parquet").write_bytes((tmp_path / "in/nano.parquet").read_bytes()[:-20])
    with pytest.raises(InputUnreadable, match=r"cut.parquet cannot be read to its end"):
        take(str(tmp_path / "in"))


def test_partitioned_folders_are_columns_and_odd_columns_are_no_hindrance(take, tmp_path, warehouse) -> None:
    from l2a.tables.contracts import DIALOGUES

    odd = [("seen`twice", pa.float64()), ("counts", pa.map_(pa.int64(), pa.string()))]
    schema = pa.schema([("session_id", pa.string()), ("messages", pa.list_(MESSAGE)), *odd])
    words = [{"role": "user", "content": "hi"}]
    row = {"messages": words, "seen`twice": 1.5, "counts": [(1, "a")]}
    for folder in ("outcome=failure/domain=bank%2Fcards", "outcome=success/domain=__HIVE_DEFAULT_PARTITION__"):
        write(tmp_path / "in" / folder / "part-0.parquet", [{**row, "session_id": folder[:15]}], schema)
    assert take(str(tmp_path / "in")).rows_new == 2
    found = {row["session_id"]: (row["outcome"], row["domain"]) for row in dicts(warehouse, DIALOGUES)}
    assert found == {"outcome=failure": ("failure", "bank/cards"), "outcome=success": ("success", None)}


def test_a_file_of_a_type_that_spark_does_not_take_says_so(take, tmp_path) -> None:
    write(tmp_path / "in/a.parquet", [dialogue("a", "hi") | {"at": dt.time(12)}])
    with pytest.raises(InputUnreadable, match=r"a\.parquet cannot be read to its end: .*TIME"):
        take(str(tmp_path / "in"))
