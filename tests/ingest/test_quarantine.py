"""Every rejected line is a row of its own, with its place and a reason that a person can act on."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from helpers import as_line, dialogue, dicts

from l2a.errors import TooManyFailures
from l2a.synth import LogSpec
from l2a.synth.broken import broken_kinds

GOOD = dialogue("good", "你好 👋", 'שלום "user: "', "<stop />")


def changed(**fields: Any) -> dict[str, Any]:
    return {**dialogue("x"), **fields}


def with_message(**fields: Any) -> dict[str, Any]:
    first, *others = dialogue("x")["messages"]
    return changed(messages=[{**first, **fields}, *others])


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in dialogue("x").items() if key != name}


TEXT = json.dumps(dialogue("x"))
DEEP = TEXT.replace('"My card is gone."', "[" * 2000 + "]" * 2000)

BROKEN: dict[str, tuple[Any, str]] = {
    "not JSON": ("2026-11-03 INFO request 7 took 12 ms", "not JSON: "),
    "single quotes": (TEXT.replace('"', "'"), "not JSON: "),
    "NaN": ('{"score": NaN, ' + TEXT[1:], "not JSON: NaN is no JSON number"),
    "half a surrogate": (TEXT.replace("My card", r"\ud83d card"), "not JSON: half of a surrogate pair"),
    "deep": (DEEP, "not JSON: nested too deep"),
    "cut inside a text": (TEXT[:60], "truncated JSON: "),
    "cut after a key": (TEXT[: TEXT.index('"role"') + 6], "truncated JSON: "),
    "cut after a value": (TEXT[:-1], "truncated JSON: "),
    "cut inside a word": (TEXT[: TEXT.index("null") + 2], "truncated JSON: "),
    "not UTF-8": (TEXT.encode().replace(b"gone", b"g\xf6ne"), "not UTF-8: "),
    "a list": ('["s-1"]', "not an object: "),
    "a number": ("42", "not an object: "),
    "null": ("null", "not an object: "),
    "rubbish": (TEXT + " -- end of record", "rubbish after the object: -- end of record"),
    "two objects": (TEXT + TEXT, "rubbish after the object: "),
    "a comma": (TEXT + ",", "rubbish after the object: ,"),
    "a bracket that fits an array": (TEXT + "]", "rubbish after the object: ]"),
    "a key twice": ('{"session_id": "y", ' + TEXT[1:], "duplicate keys: 'session_id' comes twice"),
    "a key twice in a message": (TEXT.replace('"ts"', '"role": "user", "ts"', 1), "duplicate keys: 'role' comes twice"),
    "empty object": ({}, "no session id: the field is missing or null"),
    "no session id": (without("session_id"), "no session id: the field is missing or null"),
    "session id null": (changed(session_id=None), "no session id: the field is missing or null"),
    "session id empty": (changed(session_id=""), "no session id: the field is empty"),
    "session id a number": (changed(session_id=4711), "session id of the wrong type: bigint instead of string"),
    "session id an object": (changed(session_id={"a": 1}), "session id of the wrong type: object"),
    "no messages": (without("messages"), "no messages: the field is missing or null"),
    "messages null": (changed(messages=None), "no messages: the field is missing or null"),
    "messages empty": (changed(messages=[]), "no messages: the list is empty"),
    "messages an object": (changed(messages=dialogue("x")["messages"][0]), "messages is not a list: "),
    "messages a text": (changed(messages="hello"), "messages is not a list: "),
    "a message that is a text": (changed(messages=[*GOOD["messages"], "hi"]), "message is not an object: at message 4"),
    "a message that is null": (changed(messages=[None]), "message is not an object: at message 1"),
    "no role": (changed(messages=[{"content": "a"}]), "message without role: at message 1"),
    "role null": (with_message(role=None), "message without role: at message 1"),
    "unknown role": (with_message(role="moderator"), "unknown role: moderator at message 1"),
    "role an object": (with_message(role={"name": "user"}), "unknown role: "),
    "no content": (changed(messages=[{"role": "user"}]), "message without content: at message 1"),
    "content null": (with_message(content=None), "message without content: at message 1"),
    "content a number": (with_message(content=12345), "content of the wrong type: bigint at message 1"),
    "content a list": (with_message(content=["a"]), "content of the wrong type: array at message 1"),
    "no user": (changed(messages=[{"role": "assistant", "content": "?"}]), "no user message: "),
    "updated_at in words": (changed(updated_at="yesterday afternoon"), "not a time: updated_at is yesterday afternoon"),
    "updated_at impossible": (changed(updated_at="2026-02-30T00:00:00Z"), "not a time: updated_at is 2026-02-30"),
    "updated_at a number": (changed(updated_at=5), "not a time: updated_at is 5"),
    "ts in words": (with_message(ts="half past nine"), "not a time: ts is half past nine at message 1"),
    "too large": (with_message(content="é" * 600), "over the size limit: more than 1000 bytes at message 1"),
    "line too large": (changed(goal="x" * 5000), "over the size limit: a line of more than 5000 bytes"),
}


def test_every_broken_line_is_a_row_with_its_reason_and_good_lines_are_not_hurt(take, write_lines, warehouse) -> None:
    from l2a.tables.contracts import DIALOGUES, QUARANTINE

    lines = [GOOD, *[line for line, _ in BROKEN.values()]]
    lines += [lines[1]]  # an identical line is a row of its own
    lines.insert(20, "   \t")  # no input line at all, but a line of the file
    path = write_lines("logs.jsonl", lines)

    limits = {"max_message_bytes": 1000, "max_line_bytes": 5000}
    counts = take(path, settings=limits)

    found = {row["position"]: row for row in dicts(warehouse, QUARANTINE)}
    expected = {i + 1: line for i, line in enumerate(lines) if line not in (GOOD, "   \t")}
    assert sorted(found) == sorted(expected)
    prefixes = {as_line(line): prefix for line, prefix in BROKEN.values()}
    wrong = {
        place: (found[place]["reason"], prefixes[as_line(line)])
        for place, line in expected.items()
        if not found[place]["reason"].startswith(prefixes[as_line(line)])
    }
    assert wrong == {}
    kept = {place: row["raw"] for place, row in found.items()}
    assert kept == {place: as_line(line).decode(errors="replace") for place, line in expected.items()}
    assert [row["messages"][0]["content"] for row in dicts(warehouse, DIALOGUES)] == ["你好 👋"]
    assert (counts.rows_in, counts.rows_new, counts.rows_quarantined) == (len(BROKEN) + 2, 1, len(BROKEN) + 1)


@pytest.mark.parametrize("form", ["native", "openai", "events"])
def test_made_up_broken_lines_are_all_rejected_and_the_good_ones_all_taken(take, tmp_path, warehouse, form) -> None:
    from l2a.synth.write import write_log
    from l2a.tables.contracts import DIALOGUES, QUARANTINE

    spec = LogSpec(40, seed=5, format=form, bad_share=0.5, oversize_bytes=40_000)
    path = tmp_path / "log.jsonl"
    summary = write_log(spec, path)
    counts = take(str(path), mapping=form, settings={"max_message_bytes": 30_000})
    expected = summary.as_dict()
    assert counts.rows_in == expected["lines"]
    rejected = dicts(warehouse, QUARANTINE)
    assert len(rejected) == counts.rows_quarantined >= len(broken_kinds(spec))
    assert warehouse.read(DIALOGUES).count() == 40
    assert len({row["reason"].split(":")[0] for row in rejected}) >= 10


def test_places_are_right_in_several_files_of_every_kind(take, write_lines, warehouse, spark, tmp_path) -> None:
    from l2a.tables.contracts import QUARANTINE

    def log(name: str, count: int, bad: set[int]) -> list[Any]:
        return [f"bad {name} {i}" if i in bad else dialogue(f"{name}-{i}") for i in range(1, count + 1)]

    write_lines("in/large.jsonl", log("large", 60, {1, 17, 41, 60}))
    write_lines("in/small.jsonl", log("small", 3, {2}))
    write_lines("in/empty.jsonl", [])
    body = [as_line(line) for line in log("zip", 30, {29})]
    (tmp_path / "in/zip.jsonl.gz").write_bytes(gzip.compress(b"\n".join(body)))
    crlf = [as_line(line) for line in log("dos", 4, {3})]
    (tmp_path / "in/dos [1] 50%+ü.jsonl").write_bytes(
        b"\xef\xbb\xbf" + b"\r\n".join([crlf[0], b"", *crlf[1:]]) + b"\r\n"
    )
    (tmp_path / "in/notes.txt").write_text("no log")

    before = spark.conf.get("spark.sql.files.maxPartitionBytes")
    spark.conf.set("spark.sql.files.maxPartitionBytes", "2000")
    try:
        counts = take(str(tmp_path / "in"))
    finally:
        spark.conf.set("spark.sql.files.maxPartitionBytes", before)

    found = {(row["source"].rsplit("/", 1)[1], row["position"], row["raw"]) for row in dicts(warehouse, QUARANTINE)}
    assert found == {
        *[("large.jsonl", i, f"bad large {i}") for i in (1, 17, 41, 60)],
        ("small.jsonl", 2, "bad small 2"),
        ("zip.jsonl.gz", 29, "bad zip 29"),
        ("dos [1] 50%+ü.jsonl", 4, "bad dos 3"),
    }
    assert counts.rows_in == 60 + 3 + 30 + 4
    assert take(str(tmp_path / "in")) is None


def test_above_the_allowed_share_the_good_lines_are_kept_and_the_run_says_so(take, write_lines, warehouse) -> None:
    from l2a.tables.contracts import DIALOGUES, RUNS

    path = write_lines("logs.jsonl", [dialogue("a"), "bad", "bad"])
    with pytest.raises(TooManyFailures, match=r"2 of 3 rows failed \(66.7%\)"):
        take(path, max_failed_share=0.5)
    assert warehouse.read(DIALOGUES).count() == 1
    (run,) = dicts(warehouse, RUNS)
    assert (run["status"], run["rows_in"], run["rows_new"], run["rows_quarantined"]) == ("failed", 3, 1, 2)
    assert take(path, max_failed_share=0.5) is None


def test_a_corrected_mapping_or_file_takes_the_same_path_again_and_clears_its_quarantine(
    take, write_lines, warehouse, tmp_path
) -> None:
    from l2a.tables.contracts import DIALOGUES, QUARANTINE

    path = write_lines("logs.jsonl", [dialogue("a"), dialogue("b")])
    other = write_lines("other.jsonl", ["bad"])
    assert take(path, other, mapping="openai").rows_quarantined == 3
    assert take(path).rows_new == 2
    assert [row["source"] for row in dicts(warehouse, QUARANTINE)] == [f"file:{other}"]
    write_lines("other.jsonl", [dialogue("c")])
    assert take(path, other).rows_new == 1
    assert warehouse.read(QUARANTINE).count() == 0
    assert warehouse.read(DIALOGUES).count() == 3


def test_what_a_killed_run_rejected_goes_once_its_file_is_mended(take, write_lines, warehouse, monkeypatch) -> None:
    from l2a.ingest.intake import Intake
    from l2a.tables.contracts import DIALOGUES, QUARANTINE

    def killed(*given: object) -> None:
        raise KeyboardInterrupt

    path = write_lines("logs.jsonl", [dialogue("a"), "bad"])
    with monkeypatch.context() as patched:
        patched.setattr(Intake, "_documents", killed)
        with pytest.raises(KeyboardInterrupt):
            take(path)
    assert warehouse.read(QUARANTINE).count() == 1
    write_lines("logs.jsonl", [dialogue("a"), dialogue("b")])
    assert take(path).rows_new == 2
    assert (warehouse.read(QUARANTINE).count(), warehouse.read(DIALOGUES).count()) == (0, 2)
