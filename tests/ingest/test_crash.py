"""A run that dies between any two of its writes, and is run again, ends like one that was never disturbed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from helpers import Killed, dialogue, digest_of, open_warehouse

if TYPE_CHECKING:
    from l2a.tables.warehouse import Warehouse

TABLES = ("dialogues", "quarantine", "runs", "turns", "sources")


def first_night() -> list[Any]:
    return [dialogue("stays", "a"), dialogue("grows", "a"), dialogue("shrinks", *"abcdef")]


def second_night() -> list[Any]:
    return [
        dialogue("grows", *"abc"),
        dialogue("shrinks", *"ab"),
        dialogue("shrinks", *"ab"),
        dialogue("new", "a", outcome="failure"),
        dialogue("stays", "a"),
        "not a line",
        dialogue("new", "b"),
    ]


@pytest.fixture
def disturb(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes every write of ingestion and slicing count, and one of them the last that the process lives to see."""
    from l2a.ingest.staging import Staging
    from l2a.tables import warehouse

    state = {"writes": 0, "dies_after": None}

    def counted(owner: Any, name: str) -> None:
        write = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = write(*args, **kwargs)
            state["writes"] += 1
            if state["writes"] == state["dies_after"]:
                raise Killed
            return result

        monkeypatch.setattr(owner, name, wrapped)

    counted(warehouse, "create")
    for owner, name in ((warehouse.Warehouse, "_commit"), (Staging, "once"), (Staging, "delete")):
        counted(owner, name)

    def die_after(writes: int | None) -> None:
        state.update(writes=0, dies_after=writes)

    return die_after


def deaths_until_done(disturb: Callable[[int | None], None], step: Callable[[], object]) -> int:
    """Each attempt lives for one write more than the one before; what is finished is not written again."""
    for writes in range(1, 30):
        disturb(writes)
        try:
            step()
        except Killed:
            continue
        disturb(None)
        return writes - 1
    raise AssertionError("thirty attempts did not finish")


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_death_after_every_write_of_ingest_and_slice_leaves_no_trace(
    take, write_lines, warehouse, disturb, spark, tmp_path
) -> None:
    from spark_jobs.slice import slice_dialogues

    night_1, night_2 = write_lines("1.jsonl", first_night()), write_lines("2.jsonl", second_night())
    for night in (night_1, night_2):
        take(night)
        slice_dialogues(warehouse)
    undisturbed = {name: digest_of(warehouse)[name] for name in TABLES}

    deaths = 0

    def until_done(step: Callable[[Warehouse], object]) -> None:
        nonlocal deaths
        deaths += deaths_until_done(disturb, lambda: step(open_warehouse(spark, tmp_path / "disturbed")))

    for night in (night_1, night_2):
        until_done(partial(lambda path, into: take(path, into=into), night))
        until_done(slice_dialogues)
    other = open_warehouse(spark, tmp_path / "disturbed")
    assert {name: digest_of(other)[name] for name in TABLES} == undisturbed
    assert deaths >= 12
    assert list((tmp_path / "disturbed" / "_staging").iterdir()) == []


@pytest.mark.prove
def test_a_way_back_to_an_earlier_mapping_that_dies_after_every_write_is_one_run(
    take, write_lines, warehouse, disturb, spark, tmp_path
) -> None:
    from helpers import dicts

    from l2a.mapping import load
    from l2a.mapping.model import Constants
    from l2a.tables.contracts import RUNS

    right, path = load(None), write_lines("logs.jsonl", [dialogue("s", "hello"), "not a line"])
    wrong = right.model_copy(update={"constants": Constants(domain="bank")})
    other = open_warehouse(spark, tmp_path / "disturbed")
    for into in (warehouse, other):
        for mapping in (right, wrong):
            take(path, mapping=mapping, into=into)
    assert take(path).rows_updated == 1
    assert deaths_until_done(disturb, lambda: take(path, into=open_warehouse(spark, tmp_path / "disturbed"))) >= 6
    found, undisturbed = digest_of(other), digest_of(warehouse)
    assert found == undisturbed
    assert {row["run_id"] for row in dicts(other, RUNS)} == {row["run_id"] for row in dicts(warehouse, RUNS)}
    assert list((tmp_path / "disturbed" / "_staging").iterdir()) == []


def test_what_a_run_by_another_mapping_left_half_done_is_read_again(take, write_lines, warehouse, monkeypatch) -> None:
    from helpers import dicts

    from l2a.ingest.intake import Intake
    from l2a.mapping import load
    from l2a.mapping.model import Constants
    from l2a.tables.contracts import DIALOGUES

    right, path = load(None), write_lines("logs.jsonl", [dialogue("s", "hello", domain="bank")])
    wrong = right.model_copy(
        update={
            "fields": right.fields.model_copy(update={"domain": None}),
            "constants": Constants(domain="hotel"),
        }
    )
    merge = Intake._merge

    def dies(*args: Any) -> None:
        merge(*args)
        raise Killed

    take(path)
    with monkeypatch.context() as then:
        then.setattr(Intake, "_merge", dies)
        with pytest.raises(Killed):
            take(path, mapping=wrong)
    assert [row["domain"] for row in dicts(warehouse, DIALOGUES)] == ["hotel"]
    assert take(path).rows_updated == 1
    assert [row["domain"] for row in dicts(warehouse, DIALOGUES)] == ["bank"]
    assert take(path) is None


@pytest.mark.parametrize(
    ("first_run", "moment", "fates"),
    [
        pytest.param("dies", "sessions", (2, 0, 2, 0), marks=pytest.mark.slow),
        # By then it has written one session as a new one.
        pytest.param("dies", "missed", (2, 1, 1, 0), marks=pytest.mark.slow),
        pytest.param("is slower", "sessions", (2, 0, 2, 0), marks=pytest.mark.prove),
    ],
)
def test_events_enter_also_when_another_run_changed_their_sessions_after_they_were_gathered(
    take, write_lines, warehouse, monkeypatch, first_run, moment, fates
) -> None:
    from helpers import dicts

    from l2a.ingest.staging import Staging
    from l2a.tables.contracts import DIALOGUES, QUARANTINE

    def event(session: str, seq: int, role: str) -> dict[str, Any]:
        return {"session_id": session, "seq": seq, "role": role, "content": f"{seq}"}

    night_1 = write_lines("1.jsonl", [event("both", 1, "user"), event("greeted", 1, "agent")])
    night_2 = write_lines("2.jsonl", [event("both", 2, "agent"), event("both", 3, "user"), event("greeted", 2, "user")])
    once, others = Staging.once, []

    def interrupted(staging: Any, name: str, *args: Any) -> Any:
        result = once(staging, name, *args)
        if name.startswith(moment) and not others:
            others.append(name)
            if first_run == "dies":
                raise Killed
            take(night_2, mapping="events", into=open_warehouse(warehouse.spark, warehouse.root))
        return result

    monkeypatch.setattr(Staging, "once", interrupted)
    if first_run == "dies":
        with pytest.raises(Killed):
            take(night_1, mapping="events")
        take(night_2, mapping="events")
    counts = take(night_1, mapping="events")
    assert (counts.rows_in, counts.rows_new, counts.rows_updated, counts.rows_quarantined) == fates
    said = {row["session_id"]: [m["content"] for m in row["messages"]] for row in dicts(warehouse, DIALOGUES)}
    assert said == {"both": ["1", "2", "3"], "greeted": ["1", "2"]}
    assert warehouse.read(QUARANTINE).count() == 0


def test_two_runs_of_the_same_files_at_once_do_not_double_anything(take, write_lines, warehouse) -> None:
    path = write_lines("logs.jsonl", second_night())
    failures: list[BaseException] = []

    def run() -> None:
        try:
            take(path, into=open_warehouse(warehouse.spark, warehouse.root))
        except BaseException as error:
            failures.append(error)

    runs = [threading.Thread(target=run) for _ in range(2)]
    for thread in runs:
        thread.start()
    for thread in runs:
        thread.join()
    assert failures == []

    alone = open_warehouse(warehouse.spark, warehouse.root + "-alone")
    take(path, into=alone)
    found, expected = digest_of(warehouse), digest_of(alone)
    assert {name: found[name] for name in ("dialogues", "quarantine", "runs")} == {
        name: expected[name] for name in ("dialogues", "quarantine", "runs")
    }


def test_a_run_that_broke_leaves_its_row_and_the_next_one_finishes(take, write_lines, warehouse, monkeypatch) -> None:
    from helpers import dicts

    from l2a.ingest.intake import Intake
    from l2a.tables.contracts import DIALOGUES, RUNS

    path = write_lines("logs.jsonl", first_night())
    write = Intake._write

    def full_disk(*args: Any) -> None:
        raise OSError("No space left on device\nat some place")

    monkeypatch.setattr(Intake, "_write", full_disk)
    with pytest.raises(OSError, match="No space left"):
        take(path)
    monkeypatch.setattr(Intake, "_write", write)
    assert take(path).rows_new == 3
    assert warehouse.read(DIALOGUES).count() == 3
    assert {(row["status"], row["error"], row["rows_new"]) for row in dicts(warehouse, RUNS)} == {
        ("failed", "No space left on device", None),
        ("ok", None, 3),
    }
