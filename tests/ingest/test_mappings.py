"""Logs of other forms become the same dialogues: parsed lines, without a table."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from helpers import dialogue

from l2a.errors import MappingError
from l2a.mapping import Mapping, load, shipped

LIMIT = 16 * 1024 * 1024


@pytest.fixture
def parsed(spark: Any, write_lines: Any) -> Any:
    """Lines under a mapping: the columns that parsing adds, as dictionaries in the order of the lines."""
    from l2a.ingest import files
    from l2a.ingest.parse import parse

    def call(lines: list[Any], mapping: Mapping, limit: int = LIMIT) -> list[dict[str, Any]]:
        path = write_lines("lines.jsonl", lines)
        table = parse(files.lines(spark, [path], []), mapping, limit, 96 * 1024 * 1024).orderBy("place")
        return [row.asDict(recursive=True) for row in table.drop("value", "row").collect()]

    return call


def spoken(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in row["messages"]]


def utc(*parts: int) -> dt.datetime:
    """A time as Spark gives it: naive, in the session's zone, which is UTC."""
    return dt.datetime(*parts)


def test_native_lines_in_any_language_and_time_zone(parsed) -> None:
    words = ("我的卡丢了 👩‍👩‍👧", 'אבד לי "הכרטיס"\nuser: no', "<stop />\t\\u0041\u2028", "")
    line = dialogue("s-1", *words, domain="bank", goal="find it", outcome="success", expert="e-7", other={"a": [1]})
    line["updated_at"] = "2026-11-21T09:30:00.123456+02:00"
    line["messages"][0]["ts"] = "2026-11-21T07:00:00Z"
    line["messages"][1]["ts"] = "2026-11-21 07:00:01"
    (row,) = parsed(["\t" + json.dumps(line)], load(None))
    assert row["reason"] is None
    assert spoken(row) == list(zip(("user", "assistant") * 2, words, strict=True))
    assert [message["ts"] for message in row["messages"]][:3] == [
        utc(2026, 11, 21, 7),
        utc(2026, 11, 21, 7, 0, 1),
        None,
    ]
    assert row["updated_at"] == utc(2026, 11, 21, 7, 30, 0, 123456)
    assert [row[name] for name in ("domain", "goal", "outcome", "expert", "group")] == [
        "bank", "find it", "success", "e-7", None,
    ]  # fmt: skip


def test_messages_up_to_the_limit_are_taken_whole(parsed) -> None:
    fits, over = "界" * (LIMIT // 3), "x" * (LIMIT + 1)
    lines = [dialogue("fits", fits), dialogue("over", over), dialogue("large", "🙂" * 250_000, "?", "ok")]
    rows = parsed(lines, load(None))
    assert [row["reason"] for row in rows] == [None, f"over the size limit: more than {LIMIT} bytes at message 1", None]
    assert rows[0]["messages"][0]["content"] == fits
    assert rows[2]["messages"][0]["content"] == "🙂" * 250_000


def test_openai_chats_with_parts_and_tool_calls(parsed) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "My card"}, {"type": "image_url"}, {"text": "is gone"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "found", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "Where?", "tool_calls": [call]},
        {"role": "function", "content": ""},
    ]
    about = {"domain": "bank", "user_id": 7, "updated_at": "2026-11-21T00:00:00Z"}
    good = {"id": "chat-1", "messages": messages, "metadata": about}
    bare = {"id": "chat-2", "messages": messages[1:2]}
    empty = {"id": "chat-3", "messages": [messages[1], {"role": "assistant", "content": None, "tool_calls": None}]}
    first, second, third = parsed([good, bare, empty], load("openai"))
    assert (first["reason"], second["reason"]) == (None, None)
    assert third["reason"] == "message without content: at message 2"
    said = spoken(first)
    assert json.loads(said.pop(2)[1]) == [call]
    assert said == [
        ("system", "Be brief."),
        ("user", "My card\nis gone"),
        ("tool", "found"),
        ("assistant", "Where?"),
        ("tool", ""),
    ]
    assert [message["role"] for message in first["messages"]].count("tool") == 3
    assert (first["domain"], first["group"], second["domain"]) == ("bank", "7", None)


CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
OLDER = {"name": "look_up", "arguments": "{}"}
ASSISTANTS: list[tuple[dict[str, Any], tuple[str, Any]]] = [
    ({"content": "", "tool_calls": [CALL]}, ("tool", [CALL])),
    ({"content": [], "tool_calls": [CALL]}, ("tool", [CALL])),
    ({"content": "\n\n", "tool_calls": [CALL]}, ("tool", [CALL])),
    ({"content": [{"type": "text", "text": " "}], "tool_calls": [CALL]}, ("tool", [CALL])),
    ({"content": None, "function_call": OLDER}, ("tool", OLDER)),
    ({"content": None, "tool_calls": [], "function_call": OLDER}, ("tool", OLDER)),
    ({"content": "", "tool_calls": []}, ("assistant", "")),
    ({"content": "Where?", "function_call": OLDER}, ("assistant", "Where?")),
    ({"content": None, "refusal": "I cannot say."}, ("assistant", "I cannot say.")),
    ({"content": "Where?", "refusal": None}, ("assistant", "Where?")),
    ({"content": ["Where?", {"type": "text", "text": "When?"}]}, ("assistant", "Where?\nWhen?")),
    ({"content": [{"type": "refusal", "refusal": "I cannot say."}]}, ("assistant", "I cannot say.")),
]


def test_openai_calls_and_refusals_are_kept_however_they_are_written(parsed) -> None:
    lines = [
        {"id": str(i), "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", **said}]}
        for i, (said, _) in enumerate(ASSISTANTS)
    ]
    for row, (_, (role, content)) in zip(parsed(lines, load("openai")), ASSISTANTS, strict=True):
        assert row["reason"] is None
        said = row["messages"][1]
        assert (said["role"], json.loads(said["content"]) if role == "tool" else said["content"]) == (role, content)


@pytest.mark.parametrize("part", [5, None, ["My card"], True])
def test_a_part_that_is_neither_text_nor_object_rejects_the_line(parsed, part) -> None:
    (row,) = parsed([{"id": "1", "messages": [{"role": "user", "content": ["My card", part]}]}], load("openai"))
    wrong = "content of the wrong type: array with a part that is neither text nor object"
    assert row["reason"] == f"{wrong} at message 1"


CUSTOM = """
name = "tickets"
timestamps = "epoch_ms"
numeric_session_ids = true
[fields]
session_id = "$['case id'].number"
messages = "body.turns"
outcome = "body.state[0].code"
updated_at = "changed"
goal = "aim"
[message]
role = "who.kind"
content = "said[0].text"
ts = "at"
[constants]
domain = "telecom"
goal = "find the fault"
[roles]
customer = "user"
"agent'1" = "assistant"
[outcomes]
"4" = "success"
"*" = "failure"
"""


def test_a_mapping_of_ones_own_reaches_into_any_document(parsed, tmp_path) -> None:
    (tmp_path / "tickets.toml").write_text(CUSTOM, encoding="utf-8-sig")  # as Windows' editor does
    mapping = load(str(tmp_path / "tickets.toml"))

    def ticket(number: Any, code: Any, **more: Any) -> dict[str, Any]:
        turns = [
            {"who": {"kind": "customer"}, "said": [{"text": "no light"}], "at": 1_700_000_000_123},
            {"who": {"kind": "agent'1"}, "said": [{"text": "since when?"}, {"text": "?"}], "at": None},
        ]
        return {"case id": {"number": number}, "body": {"turns": turns, "state": [{"code": code}]}, **more}

    rows = parsed(
        [
            ticket(12, 4, changed=1_700_000_000_500),
            ticket("x", "lost", aim="other"),
            ticket(1.5, None),
            ticket(2**64, 4),
        ],
        mapping,
    )
    assert [row["reason"] and row["reason"].split(":")[0] for row in rows] == [
        None, None, "session id of the wrong type", None,
    ]  # fmt: skip
    assert rows[3]["session_id"] == str(2**64)
    assert [row["session_id"] for row in rows[:2]] == ["12", "x"]
    assert [row["outcome"] for row in rows] == ["success", "failure", None, "success"]
    given = mapping.model_copy(update={"constants": mapping.constants.model_copy(update={"outcome": "success"})})
    assert [row["outcome"] for row in parsed([ticket(12, "lost"), ticket(12, None)], given)] == ["failure", "success"]
    assert [row["goal"] for row in rows[:2]] == ["find the fault", "other"]
    assert {row["domain"] for row in rows} == {"telecom"}
    assert spoken(rows[0]) == [("user", "no light"), ("assistant", "since when?")]
    assert rows[0]["messages"][0]["ts"] == utc(2023, 11, 14, 22, 13, 20, 123000)
    assert rows[0]["updated_at"] == utc(2023, 11, 14, 22, 13, 20, 500000)


@pytest.mark.parametrize("unit", ["epoch_s", "epoch_ms"])
def test_a_number_that_is_far_from_any_time_rejects_its_line_only(parsed, unit) -> None:
    form = load("native").model_dump(exclude={"timestamps"})
    far: list[Any] = [1e27, 10**28, "9" * 29, "9" * 60, 1e300, 10**15, -(10**15), True, "soon"]
    lines = [dialogue("far", updated_at=each) for each in far]
    rows = parsed([*lines, dialogue("near", updated_at=0)], Mapping(**form, timestamps=unit))
    assert [row["reason"] and row["reason"][:26] for row in rows] == ["not a time: updated_at is "] * len(far) + [None]
    assert rows[-1]["updated_at"] == utc(1970, 1, 1)


def test_event_rows_need_an_order(parsed) -> None:
    event = {"session_id": "s", "role": "customer", "content": "hi"}
    lines = [
        {**event, "seq": 3},
        {**event, "seq": 4.0},
        {**event, "ts": "2026-11-21T00:00:00Z"},
        event,
        {**event, "seq": 1.5},
        {**event, "seq": None, "ts": "noon"},
    ]
    rows = parsed(lines, load("events"))
    reasons = [row["reason"] for row in rows]
    assert reasons[:4] == [None, None, None, "event without order: neither a sequence number nor a time"]
    assert reasons[4].startswith("event without order: no whole sequence number")
    assert reasons[5].startswith("not a time: ts is noon")
    assert [row["message"]["seq"] for row in rows[:3]] == [3, 4, None]


BAD_MAPPINGS = {
    "not TOML": ("kind =", "is not TOML"),
    "unknown name": ('[fields]\nsession_id = "id"\nmessages = "m"\nsubject = "s"', "fields.subject: "),
    "no messages": ('[fields]\nsession_id = "id"', "a document mapping needs fields.messages"),
    "no session id": ('[fields]\nmessages = "m"', "fields.session_id: Field required"),
    "a path that is none": ('[fields]\nsession_id = "a..b"\nmessages = "m"', "'a..b' is no path"),
    "an unknown role": (
        '[fields]\nsession_id = "id"\nmessages = "m"\n[roles]\nhuman = "customer"',
        "roles.human: Input should be 'user', 'assistant', 'system' or 'tool'",
    ),
    "no path for the content": (
        '[fields]\nsession_id = "a"\nmessages = "m"\n[message]\ncontent = ["a", "b..c"]',
        "'b..c'",
    ),
    "events without order": ('kind = "event"\n[fields]\nsession_id = "id"', "an event mapping needs an order"),
}


@pytest.mark.parametrize("kind", BAD_MAPPINGS)
def test_a_mapping_that_cannot_be_understood_is_named_in_a_sentence(tmp_path, kind) -> None:
    text, sentence = BAD_MAPPINGS[kind]
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MappingError) as raised:
        load(str(path))
    assert sentence in str(raised.value)
    assert "mine.toml" in str(raised.value)


def test_mappings_are_found_by_name_or_file() -> None:
    assert shipped() == ["events", "native", "openai"]
    assert [load(name).name for name in shipped()] == shipped()
    with pytest.raises(MappingError, match="there is no mapping nativ: give a TOML file or one of events, native"):
        load("nativ")
