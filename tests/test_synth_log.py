"""What users of a made-up log rely on: the same bytes, any size, and dialogues like real ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synth_reading import read_strictly

from l2a.errors import UsageError
from l2a.synth import FORMATS, LogSpec, entries, lines
from l2a.synth.dialogue import MadeDialogue
from l2a.synth.events import interleave
from l2a.synth.forms import event_rows, native_text, openai

ALL_SHARES: dict[str, Any] = {"bad_share": 0.2, "correction_share": 0.1, "late_share": 0.1, "duplicate_share": 0.1}


def made(count: int, seed: int = 0) -> list[MadeDialogue]:
    return [entry.dialogue for entry in entries(LogSpec(count, seed=seed)) if entry.dialogue]


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_seed_gives_the_same_bytes_in_any_process(form: str) -> None:
    code = (
        "import hashlib; from l2a.synth import LogSpec, lines;"
        f"print(hashlib.sha256(b'\\n'.join(lines(LogSpec(60, seed=3, bad_share=.2, format={form!r})))).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": hash_seed, "TZ": zone},
            check=True,
            capture_output=True,
        ).stdout
        for hash_seed, zone in (("0", "UTC"), ("77", "Asia/Tokyo"))
    }
    assert len(digests) == 1


def test_another_seed_gives_other_sessions_and_other_words() -> None:
    one, other = made(50, seed=1), made(50, seed=2)
    assert {d.session_id for d in one}.isdisjoint(d.session_id for d in other)
    assert [d.texts for d in one] != [d.texts for d in other]


@pytest.mark.parametrize("form", ["native", "openai"])
@pytest.mark.parametrize("bad_share", [0.0, 0.3])
def test_a_longer_log_starts_like_a_shorter_one(form: str, bad_share: float) -> None:
    short = list(lines(LogSpec(100, format=form, bad_share=bad_share)))
    assert list(lines(LogSpec(200, format=form, bad_share=bad_share)))[: len(short)] == short


def test_a_dialogue_does_not_depend_on_the_length_of_the_log() -> None:
    def first_lines(count: int) -> list[bytes]:
        return [e.line for e in entries(LogSpec(count, **ALL_SHARES)) if e.kind == "first"]

    assert first_lines(300)[:100] == first_lines(100)


@pytest.mark.parametrize("form", FORMATS)
def test_good_lines_pass_a_strict_reader(form: str) -> None:
    for line in lines(LogSpec(300, format=form)):
        assert b"\n" not in line
        read_strictly(line, form)


def test_a_native_line_holds_what_was_made() -> None:
    for dialogue in made(100):
        document = json.loads(native_text(dialogue))
        assert [m["content"] for m in document["messages"]] == dialogue.texts
        assert [m["role"] for m in document["messages"]] == dialogue.roles
        assert document["goal"] == dialogue.domain.goal and document["domain"] == dialogue.domain.name
        assert list(document) == ["session_id", "goal", "domain", "outcome", "expert", "updated_at", "messages"]
        assert json.dumps(document, ensure_ascii=False) == native_text(dialogue)


def test_native_lines_escape_whatever_a_text_holds() -> None:
    dialogue = replace(made(1)[0], roles=["user"], texts=['a "quote", \\, a\nline, \t, \x00, \U0001f600'], times=[0])
    assert json.loads(native_text(dialogue))["messages"][0]["content"] == dialogue.texts[0]


def test_the_three_forms_hold_the_same_messages() -> None:
    for dialogue in made(200):
        chat = openai(dialogue)["messages"]
        assert [m["role"] for m in chat] == dialogue.roles
        assert all(m["content"] in (text, None) for m, text in zip(chat, dialogue.texts, strict=True))
        assert all(m.get("tool_calls") for m in chat if m["content"] is None)
        assert [row["content"] for row in event_rows(dialogue)] == dialogue.texts


def test_tool_answers_name_the_call_that_they_answer() -> None:
    chats = [openai(dialogue)["messages"] for dialogue in made(300)]
    answers = [(before, message) for chat in chats for before, message in pairwise(chat) if message["role"] == "tool"]
    assert answers
    assert all(before["tool_calls"][0]["id"] == message["tool_call_id"] for before, message in answers)
    assert {before["content"] is None for before, _ in answers} == {True, False}


def test_event_rows_of_a_session_are_complete_once_ordered_by_seq_or_by_ts() -> None:
    sessions: dict[str, list[dict[str, Any]]] = {}
    order = []
    for line in lines(LogSpec(200, format="events")):
        row = json.loads(line)
        order.append(row["session_id"])
        sessions.setdefault(row["session_id"], []).append(row)
    expected = {dialogue.session_id: dialogue.texts for dialogue in made(200)}
    for key in ("seq", "ts"):
        for session_id, rows in sessions.items():
            ordered = sorted(rows, key=lambda row: row[key])
            assert [row["content"] for row in ordered] == expected[session_id]
    assert sum(a != b for a, b in pairwise(order)) > len(order) * 0.9, "sessions are mixed"
    assert any([row["seq"] for row in rows] != sorted(row["seq"] for row in rows) for rows in sessions.values())


@given(st.lists(st.lists(st.integers(), min_size=1, max_size=8), max_size=120))
@settings(max_examples=30)
def test_mixing_sessions_loses_and_doubles_nothing(sessions: list[list[int]]) -> None:
    named: Sequence[list[tuple[int, int, int]]] = [
        [(session, place, item) for place, item in enumerate(items)] for session, items in enumerate(sessions)
    ]
    mixed = list(interleave(0, named))
    assert sorted(mixed) == sorted(item for items in named for item in items)
    first_seen: dict[int, int] = {}
    for session, place, _ in mixed:
        first_seen.setdefault(session, place)
    assert set(first_seen.values()) <= {0}


@pytest.mark.parametrize("form", FORMATS)
def test_memory_does_not_grow_with_the_log(form: str) -> None:
    shares = ALL_SHARES if form != "events" else {"bad_share": 0.2}

    def peak(count: int) -> int:
        tracemalloc.start()
        deque(lines(LogSpec(count, format=form, **shares)), maxlen=0)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)  # loads the domains
    assert peak(1_000) < peak(300) + 200_000  # 700 more dialogues are 1 MB of text, 2 MB as events


def test_dialogues_have_the_shape_of_real_logs() -> None:
    dialogues = made(2_000)
    messages = sum(len(d.roles) for d in dialogues) / len(dialogues)
    assert 8 < messages < 12
    assert {role for d in dialogues for role in d.roles} == {"user", "assistant", "system", "tool"}
    assert {d.domain.language for d in dialogues} == {"en", "es", "zh"}
    assert len({d.expert for d in dialogues}) == 40
    last = Counter(d.roles[-1] for d in dialogues)
    assert 0.02 < last["user"] / len(dialogues) < 0.2
    assert all("user" in d.roles for d in dialogues)
    assert all(a <= b for d in dialogues for a, b in pairwise([*d.times, d.updated_at]))
    assert any(a == b for d in dialogues for a, b in pairwise(d.roles)), "several messages in a row of one role"
    assert 0.09 < sum(d.outcome == "failure" for d in dialogues) / len(dialogues) < 0.15
    assert 800 < sum(map(len, lines(LogSpec(500)))) / 500 < 1_600


def test_failed_share_is_what_was_asked_for() -> None:
    assert {e.dialogue.outcome for e in entries(LogSpec(50, failed_share=0)) if e.dialogue} == {"success"}
    assert {e.dialogue.outcome for e in entries(LogSpec(50, failed_share=1)) if e.dialogue} == {"failure"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"dialogues": -1},
        {"dialogues": 1, "format": "xml"},
        {"dialogues": 1, "bad_share": 1.0},
        {"dialogues": 1, "failed_share": 1.5},
        {"dialogues": 1, "late_share": 0.6, "correction_share": 0.6},
        {"dialogues": 1, "format": "events", "late_share": 0.1},
        {"dialogues": 1, "days": 0},
        {"dialogues": 1, "oversize_bytes": 0},
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        LogSpec(**wrong)  # type: ignore[arg-type]
