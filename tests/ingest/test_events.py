"""Event logs: a message a row, gathered into dialogues over files and nights, in whatever order these come."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import dicts, digest_of, open_warehouse

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
        ]
    },
}
SAID = {
    "by number": "abc",
    "over nights": "abc",
    "ties": ["first", "second", "third"],
    "by time": "ab",
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
    assert (first.rows_in, first.rows_new, first.rows_quarantined) == (13, 11, 2)
    second = take(landing, mapping="events", date="2026-11-02")
    assert (second.rows_in, second.rows_updated, second.rows_unchanged) == (3, 2, 1)

    found = {row["session_id"]: row for row in dicts(warehouse, DIALOGUES)}
    assert {name: [m["content"] for m in row["messages"]] for name, row in found.items()} == {
        name: list(said) for name, said in SAID.items()
    }
    assert [m["role"] for m in found["by number"]["messages"]] == ["user", "assistant", "assistant"]
    assert (found["by number"]["domain"], found["by number"]["outcome"]) == ("bank", "success")
    rejected = {(row["position"], row["reason"].split(":")[0]) for row in dicts(warehouse, QUARANTINE)}
    assert rejected == {(2, "no user message"), (3, "no user message")}

    backwards = open_warehouse(spark, warehouse.root + "-backwards")
    for night in reversed(NIGHTS):
        take(landing, mapping="events", date=night, into=backwards)
    at_once = open_warehouse(spark, warehouse.root + "-at-once")
    assert take(landing, mapping="events", into=at_once).rows_in == 16
    same = ("session_id", "dialogue_version", "updated_at", "landed", "outcome", "expert", "split")
    for other in (backwards, at_once):
        there = {row["session_id"]: row for row in dicts(other, DIALOGUES)}
        assert {k: [row[n] for n in same] for k, row in there.items()} == {
            k: [row[n] for n in same] for k, row in found.items()
        }
    before = digest_of(at_once)
    assert take(landing, mapping="events", into=at_once) is None
    assert digest_of(at_once) == before


def test_a_night_that_is_not_there_and_a_file_of_another_kind_are_said(take, write_lines, tmp_path) -> None:
    from l2a.errors import UsageError

    landing = land(write_lines)
    with pytest.raises(UsageError, match=r"there is nothing to read at .*dt=2026-12-24"):
        take(landing, date="2026-12-24")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.me").write_text("no log")
    with pytest.raises(UsageError, match=r"none of the 1 files .* is a log by its name"):
        take(str(tmp_path / "notes"))
