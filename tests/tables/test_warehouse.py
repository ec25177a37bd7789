"""A table keeps its contract, or the write is refused and nothing of it is there; old tables are upgraded."""

from __future__ import annotations

import dataclasses
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from helpers import open_warehouse

from l2a.errors import ContractBroken, TableIncompatible, TableMissing
from l2a.tables import creation
from l2a.tables.contract import Column, Contract, Invariant
from l2a.tables.history import changed_sessions, newest_rows

THINGS = Contract(
    name="things",
    grain="One row per thing.",
    key=("session_id", "number"),
    columns=(
        Column("session_id", "string", "whose"),
        Column("number", "int", "which"),
        Column("word", "string", "what it says"),
        Column("size", "double", "how large", nullable=True),
        Column("seen_at", "string", "when", nullable=True, volatile=True),
    ),
    invariants=(Invariant("size_positive", "size > 0", "a size is positive"),),
    tracks_changes=True,
)


def table(warehouse: Any, *rows: tuple[Any, ...]) -> Any:
    full = [(*row, None, None)[:5] for row in rows]
    return warehouse.spark.createDataFrame(
        full, "session_id string, number int, word string, size double, seen_at string"
    )


def held(warehouse: Any, contract: Contract = THINGS) -> list[tuple[Any, ...]]:
    return sorted(tuple(row)[:4] for row in warehouse.read(contract).collect())


BROKEN = {
    "key twice": ([("s", 3, "a"), ("s", 3, "b")], r"things: 2 rows have the key session_id = 's', number = 3"),
    "invariant": ([("s", 3, "a", -1.0)], r"things: a row breaks 'a size is positive' \(size > 0\). Nothing was"),
    "null": ([("s", 3, None)], "things: a row has null in a column that must hold a value"),
}


def test_rows_that_would_break_the_contract_leave_the_table_as_it_was(warehouse) -> None:
    warehouse.upsert(THINGS, table(warehouse, ("s", 1, "a", 1.0), ("s", 2, "b")))
    version, before = warehouse.version(THINGS), held(warehouse)
    for rows, sentence in BROKEN.values():
        for write in (warehouse.upsert, warehouse.replace):
            with pytest.raises(ContractBroken, match=sentence):
                write(THINGS, table(warehouse, ("s", 1, "changed"), *rows))
    for kind in ("invariant", "null"):
        with pytest.raises(ContractBroken, match=BROKEN[kind][1]):
            warehouse.append_once(THINGS, table(warehouse, *BROKEN[kind][0]), "a name")
    assert (warehouse.version(THINGS), held(warehouse)) == (version, before)


def test_what_is_written_twice_is_there_once(warehouse) -> None:
    first = [("s", 1, "a", 1.0, "monday"), ("s", 2, "b"), ("t", 1, "c")]
    warehouse.upsert(THINGS, table(warehouse, *first))
    warehouse.upsert(THINGS, table(warehouse, ("s", 1, "a", 1.0, "tuesday")))  # differs in a volatile column only
    assert {row["seen_at"] for row in warehouse.read(THINGS).collect()} == {"monday", None}
    warehouse.upsert(THINGS, table(warehouse, ("s", 2, "z"), ("t", 1, "d")), only_if="s.word < 'x'")
    assert held(warehouse) == [("s", 1, "a", 1.0), ("s", 2, "b", None), ("t", 1, "d", None)]

    only_s = warehouse.spark.createDataFrame([("s",)], "session_id string")
    warehouse.replace(THINGS, table(warehouse, ("s", 2, "b")), scope=only_s)
    assert held(warehouse) == [("s", 2, "b", None), ("t", 1, "d", None)]
    warehouse.replace(THINGS, table(warehouse, ("s", 5, "e")), scope=only_s, within="word <> 'b'")
    assert held(warehouse) == [("s", 2, "b", None), ("s", 5, "e", None), ("t", 1, "d", None)]

    for _ in range(2):
        warehouse.append_once(THINGS, table(warehouse, ("u", 1, "f")), "run-1")
    warehouse.append_once(THINGS, table(warehouse, ("u", 2, "g")), "run-2")
    assert [row[:2] for row in held(warehouse)][-2:] == [("u", 1), ("u", 2)]


def test_what_is_removed_is_named_by_its_key(warehouse) -> None:
    warehouse.upsert(THINGS, table(warehouse, ("s", 1, "a"), ("s", 2, "b"), ("t", 1, "c")))
    for _ in range(2):
        gone = table(warehouse, ("s", 2, "another word"), ("never", 1, "x")).select("session_id", "number")
        warehouse.replace(THINGS, table(warehouse, ("t", 9, "z")).limit(0), scope=gone)
        assert [row[:3] for row in held(warehouse)] == [("s", 1, "a"), ("t", 1, "c")]


def test_numbered_rows_are_replaced_as_others_are(warehouse) -> None:
    def numbered(**words: str) -> Any:
        return table(warehouse, *((s, n, w) for s, said in words.items() for n, w in enumerate(said, start=1)))

    scope = warehouse.spark.createDataFrame(
        [(s,) for s in ("shorter", "longer", "new", "no more", "never")], "session_id string"
    )
    warehouse.upsert(THINGS, numbered(shorter="abcd", longer="ab", **{"no more": "abc", "not asked": "ab"}))
    for _ in range(2):
        rows = numbered(shorter="xb", longer="abcd", new="ab")
        warehouse.replace_numbered(THINGS, rows, scope)
        assert [row[:3] for row in held(warehouse)] == sorted(
            tuple(row)[:3] for row in numbered(shorter="xb", longer="abcd", new="ab", **{"not asked": "ab"}).collect()
        )
    feed = warehouse.spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", 2)
    written = feed.load(warehouse.path("things")).groupBy("_change_type").count().collect()
    assert dict(written) == {"delete": 5, "insert": 4, "update_preimage": 1, "update_postimage": 1}


def test_writers_that_meet_all_get_their_rows_in(warehouse) -> None:
    warehouse.upsert(THINGS, table(warehouse, ("s", 0, "start")))
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            warehouse.upsert(THINGS, table(warehouse, ("s", 0, f"by {number}"), ("s", number, "own")))
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in (1, 2, 3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    assert [row[1] for row in held(warehouse)] == [0, 1, 2, 3]


def test_a_table_of_an_older_l2a_gets_the_columns_that_it_lacks(warehouse) -> None:
    from helpers import open_warehouse

    warehouse.upsert(THINGS, table(warehouse, ("s", 1, "a")))
    grown = dataclasses.replace(THINGS, columns=(*THINGS.columns, Column("colour", "string", "which colour", True)))
    newer = open_warehouse(warehouse.spark, warehouse.root)
    assert [row["colour"] for row in newer.read(grown).collect()] == [None]
    rows = table(warehouse, ("s", 2, "b")).selectExpr("*", "'red' AS colour")
    newer.upsert(grown, rows)
    assert {row["colour"] for row in newer.read(grown).collect()} == {None, "red"}
    assert len(held(open_warehouse(warehouse.spark, warehouse.root))) == 2


def test_tables_that_must_not_be_misread_are_refused_in_a_sentence(warehouse) -> None:
    from helpers import open_warehouse

    def again() -> Any:
        return open_warehouse(warehouse.spark, warehouse.root)

    with pytest.raises(TableMissing, match="has no table things yet"):
        warehouse.read(THINGS)
    warehouse.upsert(THINGS, table(warehouse, ("s", 1, "a")))
    columns = tuple(Column(c.name, "bigint" if c.name == "number" else c.type, c.meaning) for c in THINGS.columns)
    refused = {
        "column number is int, this l2a needs bigint": dataclasses.replace(THINGS, columns=columns),
        "written by an older l2a": dataclasses.replace(THINGS, version=2),
        "written by a newer l2a": dataclasses.replace(THINGS, version=0),
    }
    for sentence, contract in refused.items():
        with pytest.raises(TableIncompatible, match=sentence):
            again().read(contract)
    foreign = dataclasses.replace(THINGS, name="foreign")
    table(warehouse, ("s", 1, "a")).write.format("delta").save(warehouse.path("foreign"))
    with pytest.raises(TableIncompatible, match="is a Delta table that l2a did not make"):
        again().upsert(foreign, table(warehouse, ("s", 1, "a")))


def test_what_changed_is_known_while_the_history_lasts_and_all_is_taken_after_it(warehouse) -> None:
    warehouse.upsert(THINGS, table(warehouse, ("s", 1, "a"), ("t", 1, "a")))
    first = warehouse.version(THINGS)
    warehouse.upsert(THINGS, table(warehouse, ("s", 1, "changed")))
    warehouse.upsert(THINGS, table(warehouse, ("u", 1, "new")))
    last = warehouse.version(THINGS)

    def changed(since: int) -> set[str] | None:
        found = changed_sessions(warehouse, THINGS, since)
        return None if found is None else {row["session_id"] for row in found.collect()}

    assert changed(-1) is None
    assert changed(first) == {"s", "u"}
    assert changed(last) == set()
    assert changed(last + 5) is None  # of a table that was there before this one

    feed = Path(warehouse.path("things")) / "_change_data"
    shutil.rmtree(feed)
    warehouse.spark.catalog.clearCache()
    assert changed(first) is None

    from deltalake import DeltaTable

    DeltaTable(warehouse.path("things")).create_checkpoint()
    for version in range(last):
        (Path(warehouse.path("things")) / "_delta_log" / f"{version:020}.json").unlink()
    warehouse.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
    assert changed(0) is None
    assert len(held(warehouse)) == 3


def test_of_what_was_written_since_a_version_the_newest_is_read(warehouse) -> None:
    warehouse.upsert(THINGS, table(warehouse, ("s", 1, "a"), ("s", 2, "stays"), ("t", 1, "a"), ("u", 1, "a")))
    first = warehouse.version(THINGS)
    warehouse.upsert(THINGS, table(warehouse, ("s", 1, "b"), ("v", 1, "new"), ("t", 1, "c")))
    warehouse.upsert(THINGS, table(warehouse, ("s", 1, "c"), ("w", 1, "new")))
    second = warehouse.version(THINGS)
    warehouse.replace(
        THINGS, table(warehouse, ("t", 1, "c")), scope=table(warehouse, ("t", 1, ""), ("v", 1, "")).select("session_id")
    )

    def newest(since: int) -> list[tuple[Any, ...]]:
        return sorted(tuple(row)[:3] for row in newest_rows(warehouse, THINGS, since).collect())

    assert newest(first) == [("s", 1, "c"), ("t", 1, "c"), ("w", 1, "new")]
    assert newest(second) == []


@pytest.mark.parametrize(
    "left",
    [
        ["_staged_commits/"],
        [".00000000000000000000.json.2f92.tmp", "..00000000000000000000.json.2f92.tmp.crc"],
        ["00000000000000000000.json#1"],
    ],
)
def test_a_table_of_which_the_making_was_killed_is_made_by_the_next_run(
    warehouse, left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creation, "SECONDS_FOR_ANOTHER", 1)
    log = Path(warehouse.path(THINGS.name)) / "_delta_log"
    log.mkdir(parents=True)
    for name in left:
        (log / name).mkdir() if name.endswith("/") else (log / name).write_text("{}")
    warehouse.upsert(THINGS, table(warehouse, ("s", 1, "a", 1.0)))
    assert held(warehouse) == [("s", 1, "a", 1.0)]


def test_a_table_that_another_process_takes_long_to_make_is_waited_for(
    warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = open_warehouse(warehouse.spark, str(tmp_path / "elsewhere"))
    made.upsert(THINGS, table(warehouse, ("s", 1, "other")))
    there = Path(warehouse.path(THINGS.name))
    (there / "_delta_log").mkdir(parents=True)

    def finish() -> None:
        shutil.copytree(made.path(THINGS.name), there, dirs_exist_ok=True, ignore=lambda *_: ["_delta_log"])
        os.rename(Path(made.path(THINGS.name)) / "_delta_log", there / "_delta_log")

    other = threading.Timer(2, finish)
    other.start()
    warehouse.upsert(THINGS, table(warehouse, ("s", 2, "own")))
    other.join()
    assert [row[:3] for row in held(warehouse)] == [("s", 1, "other"), ("s", 2, "own")]


def test_a_relative_path_is_a_warehouse(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_warehouse(spark, "some/warehouse").ensure(THINGS)
    assert (tmp_path / "some" / "warehouse" / "things" / "_delta_log").is_dir()
