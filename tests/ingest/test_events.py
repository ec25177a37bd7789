"""Event logs: a message a row, gathered into dialogues over files and nights, in whatever order these come."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import dicts, digest_of, open_warehouse

from l2a.mapping import load

EVENING, MORNING = "2026-11-01T23:59:00Z", "2026-11-02T00:01:00Z"


def event(session: str, seq: int | None, role: str, content: str, ts: str | None = None, **more: Any) -> dict[str, Any]:
    return {"session_id": session, "seq": seq, "role": role, "content": content, "ts": ts, **more}


NIGHTS = {
    "2026-11-01": {
        "a.jsonl": [
            event("by number", 3, "agent", "c", domain="bank"),
            event("by number", 1, "customer", "a", outcome="open"),
            event("over nights", 1, "customer", "a", EVENING, outcome="open", group="g-1", expert="e-1"),
            event("ties", 5, "user", "first"),
            event("ties", 5, "user", "second"),
            event("by time", None, "agent", "b", EVENING),
            event("by time", None, "user", "a", "2026-11-01T23:58:00+00:00"),
            event("not all numbered", 1, "user", "a", "2026-11-01T23:57:00Z"),
            event("not all numbered", None, "agent", "b", "2026-11-01T23:58:00Z", outcome="open"),
            event("again", 1, "user", "said once"),
            event("again", 1, "user", "said once"),
        ],
        "b.jsonl": [
            event("by number", 2, "agent", "b", outcome="success"),
            event("nobody", 1, "agent", "hello?"),
            event("nobody", 2, "bot", "hello?"),
            event("ties", 5, "user", "third"),
        ],
    },
    "2026-11-02": {
        "a.jsonl": [
            event("over nights", 3, "customer", "c", MORNING, outcome="success"),
            event("over nights", 2, "agent", "b", MORNING),
            event("again", 1, "user", "said once"),
            event("not all numbered", 2, "user", "c", MORNING, outcome="success"),
        ]
    },
}
SAID = {
    "by number": "abc",
    "over nights": "abc",
    "ties": ["first", "second", "third"],
    "by time": "ab",
    "not all numbered": "abc",
    "again": ["said once"],
}


def land(write_lines: Any) -> str:
    for night, parts in NIGHTS.items():
        for name, lines in parts.items():
            path = write_lines(f"landing/dt={night}/{name}", lines)
    return path.split("/dt=")[0]


def test_sessions_are_gathered_over_files_and_nights_in_any_order(take, write_lines, warehouse, spark) -> None:
    from l2a.tables.contracts import DIALOGUES, QUARANTINE

    landing = land(write_lines)
    first = take(landing, mapping="events", date="2026-11-01")
    assert (first.rows_in, first.rows_new, first.rows_quarantined) == (15, 13, 2)
    second = take(landing, mapping="events", date="2026-11-02")
    assert (second.rows_in, second.rows_updated, second.rows_unchanged) == (4, 3, 1)

    found = {row["session_id"]: row for row in dicts(warehouse, DIALOGUES)}
    assert {name: [m["content"] for m in row["messages"]] for name, row in found.items()} == {
        name: list(said) for name, said in SAID.items()
    }
    assert [m["role"] for m in found["by number"]["messages"]] == ["user", "assistant", "assistant"]
    assert (found["by number"]["domain"], found["by number"]["outcome"]) == ("bank", "success")
    assert found["not all numbered"]["outcome"] == "success"
    rejected = {(row["position"], row["reason"].split(":")[0]) for row in dicts(warehouse, QUARANTINE)}
    assert rejected == {(2, "no user message"), (3, "no user message")}

    backwards = open_warehouse(spark, warehouse.root + "-backwards")
    for night in reversed(NIGHTS):
        take(landing, mapping="events", date=night, into=backwards)
    at_once = open_warehouse(spark, warehouse.root + "-at-once")
    assert take(landing, mapping="events", into=at_once).rows_in == 19
    same = ("session_id", "dialogue_version", "updated_at", "landed", "outcome", "expert", "split")
    for other in (backwards, at_once):
        there = {row["session_id"]: row for row in dicts(other, DIALOGUES)}
        assert {k: [row[n] for n in same] for k, row in there.items()} == {
            k: [row[n] for n in same] for k, row in found.items()
        }
    before = digest_of(at_once)
    assert take(landing, mapping="events", into=at_once) is None
    assert digest_of(at_once) == before


@pytest.mark.parametrize(
    "orders",
    [
        {"b ac": [(2, 1), (6, 2)]},
        pytest.param({"a b c": [(3, 3), (2, 1), (3, 1)], "c a b": [(3, 1), (3, 2), (2, 0)]}, marks=pytest.mark.prove),
    ],
    ids=" - ".join,
)
def test_events_that_came_before_their_first_user_wait_for_it(take, write_lines, warehouse, spark, orders) -> None:
    from l2a.tables.contracts import DIALOGUES, QUARANTINE

    parts = {
        "a": [
            event("s", 1, "agent", "Hello", EVENING, domain="bank"),
            event("alone", 1, "agent", "Hello?"),
            event("timed", None, "agent", "Hello", EVENING),
        ],
        "b": [event("s", 2, "agent", "Anyone?"), event("timed", None, "user", "hi", MORNING)],
        "c": [event("s", 3, "customer", "hi"), event("s", 4, "agent", "?", outcome="success"), "bad"],
    }
    paths = {name: write_lines(f"{name}.jsonl", lines) for name, lines in parts.items()}

    def in_order(names: str, root: str) -> tuple[list[Any], list[Any], list[Any]]:
        into = open_warehouse(spark, f"{warehouse.root}-{root}")
        counts = [take(*[paths[name] for name in step], mapping="events", into=into) for step in names.split()]
        for count in counts:
            told = (count.rows_new, count.rows_updated, count.rows_unchanged, count.rows_quarantined)
            assert count.rows_in == sum(told)
        told = ("session_id", "dialogue_version", "updated_at", "domain", "outcome", "split", "messages")
        dialogues = [[row[name] for name in told] for row in dicts(into, DIALOGUES)]
        waiting = [(row["source"][-7:], row["position"], row["reason"][:15]) for row in dicts(into, QUARANTINE)]
        return dialogues, waiting, [(count.rows_in, count.rows_quarantined) for count in counts]

    at_once = in_order("abc", "at-once")
    assert [[m["content"] for m in row[-1]] for row in at_once[0]] == [["Hello", "Anyone?", "hi", "?"], ["Hello", "hi"]]
    assert at_once[1:] == ([("a.jsonl", 2, "no user message"), ("c.jsonl", 3, "not JSON: Expec")], [(8, 2)])
    for names, counts in orders.items():
        assert in_order(names, names.replace(" ", "-")) == (*at_once[:2], counts)


def test_what_a_file_says_twice_at_one_time_was_said_twice(take, write_lines, warehouse) -> None:
    from l2a.tables.contracts import DIALOGUES

    def said() -> list[str]:
        (row,) = dicts(warehouse, DIALOGUES)
        return [message["content"] for message in row["messages"]]

    lines = [event("s", None, role, text, EVENING) for role, text in (("user", "ok"), ("agent", "?"), ("user", "ok"))]
    assert take(write_lines("a.jsonl", lines), mapping="events").rows_new == 3
    assert said() == ["ok", "?", "ok"]
    assert take(write_lines("again.jsonl", lines), mapping="events").rows_unchanged == 3
    assert take(write_lines("part.jsonl", lines[2:]), mapping="events").rows_unchanged == 1
    assert said() == ["ok", "?", "ok"]
    assert take(write_lines("more.jsonl", [*lines, lines[0]]), mapping="events").rows_updated == 4
    assert said() == ["ok", "?", "ok", "ok"]


def test_what_is_said_otherwise_under_a_known_number_is_a_message_more(take, write_lines, warehouse) -> None:
    from l2a.tables.contracts import DIALOGUES

    def said() -> list[tuple[str, str]]:
        (row,) = dicts(warehouse, DIALOGUES)
        return [(message["role"], message["content"]) for message in row["messages"]]

    path = write_lines("a.jsonl", [event("s", 4, "agent", "Thank you"), event("s", 3, "user", "Jon")])
    take(path, mapping="events")
    corrected = write_lines("b.jsonl", [event("s", 3, "user", "John")])
    assert take(corrected, mapping="events").rows_updated == 1
    both = [("user", "Jon"), ("user", "John"), ("assistant", "Thank you")]
    assert said() == both
    assert take(write_lines("c.jsonl", [event("s", 3, "user", "John")]), mapping="events").rows_unchanged == 1

    right = load("events")
    other = right.model_copy(update={"roles": {**right.roles, "agent": "tool"}})
    take(path, mapping=other)
    assert take(path, mapping="events").rows_unchanged == 2
    assert said() == [*both, ("tool", "Thank you")]


def test_a_night_that_is_not_there_and_a_file_of_another_kind_are_said(take, write_lines, tmp_path) -> None:
    from l2a.errors import UsageError

    landing = land(write_lines)
    with pytest.raises(UsageError, match=r"there is nothing to read at .*dt=2026-12-24"):
        take(landing, date="2026-12-24")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.me").write_text("no log")
    with pytest.raises(UsageError, match=r"none of the 1 files .* is a log by its name"):
        take(str(tmp_path / "notes"))
