"""Sessions that appear twice, broken lines and nights: an ingestion's counts can be predicted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from synth_reading import read_strictly

from l2a.errors import UsageError
from l2a.synth import FORMATS, LogSpec, entries, write_log, write_nights
from l2a.synth.broken import broken_kinds
from l2a.synth.dialogue import MadeDialogue

SHARES: dict[str, Any] = {"correction_share": 0.2, "late_share": 0.1, "duplicate_share": 0.1}


def ingest(lines: Iterable[bytes], seen: dict[str, tuple[str, bytes]] | None = None) -> Counter[str]:
    """A plain reader that takes one line after the other: what must happen to each."""
    counts: Counter[str] = Counter(new=0, updated=0, unchanged=0, superseded=0, quarantined=0)
    seen = {} if seen is None else seen
    for line in lines:
        try:
            document = read_strictly(line)
        except (ValueError, KeyError, RecursionError):
            counts["quarantined"] += 1
            continue
        key, updated_at = document["session_id"], document["updated_at"]
        if key not in seen:
            counts["new"] += 1
        elif seen[key] == (updated_at, line):
            counts["unchanged"] += 1
            continue
        elif updated_at < seen[key][0]:
            counts["superseded"] += 1
            continue
        else:
            counts["updated"] += 1
        seen[key] = (updated_at, line)
    return counts


def read_lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1]


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_reader_counts_what_the_summary_says(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    summary = write_log(LogSpec(1_000, bad_share=0.2, **SHARES), log)
    counts = ingest(read_lines(log))
    assert counts == Counter(summary.expected(one_run=False))
    assert all(counts.values())
    newest: dict[str, Any] = {}
    for entry in entries(LogSpec(1_000, **SHARES)):
        document = json.loads(entry.line)
        held = newest.setdefault(document["session_id"], document)
        if document["updated_at"] > held["updated_at"]:
            newest[document["session_id"]] = document
    one_run = summary.expected(one_run=True)
    assert one_run["new"] == len(newest) == 1_000 and one_run["updated"] == 0
    assert sum(one_run.values()) == summary.lines == len(read_lines(log))
    assert summary.size == log.stat().st_size


def test_corrections_change_something_and_some_make_the_dialogue_shorter() -> None:
    first: dict[str, MadeDialogue] = {}
    second: dict[str, MadeDialogue] = {}
    for entry in entries(LogSpec(600, correction_share=1)):
        assert entry.dialogue
        (first if entry.kind == "first" else second)[entry.dialogue.session_id] = entry.dialogue
    assert set(first) == set(second)
    longer: Counter[int] = Counter()
    for session_id, old in first.items():
        new = second[session_id]
        assert new.updated_at > old.updated_at and new.version == 2 and "user" in new.roles
        assert len(new.roles) == len(new.texts) == len(new.times)
        assert new.texts != old.texts
        longer[(len(new.roles) > len(old.roles)) - (len(new.roles) < len(old.roles))] += 1
    assert min(longer[-1], longer[0], longer[1]) > 50


def test_a_late_version_is_older_than_the_one_that_came_before() -> None:
    came: dict[str, int] = {}
    for entry in entries(LogSpec(200, late_share=1)):
        assert entry.dialogue
        if entry.kind == "late":
            assert entry.dialogue.updated_at < came[entry.dialogue.session_id]
        came[entry.dialogue.session_id] = entry.dialogue.updated_at


@pytest.mark.parametrize("form", FORMATS)
def test_broken_lines_are_broken_and_counted_by_kind(form: str, tmp_path: Path) -> None:
    spec = LogSpec(200, format=form, bad_share=0.5, oversize_bytes=100_000)
    log, truth = tmp_path / "log", tmp_path / "truth"
    summary = write_log(spec, log, truth=truth)
    lines = read_lines(log)
    good = summary.lines - summary.kinds["broken"]
    assert summary.kinds["broken"] == good
    assert set(summary.broken) == {kind.name for kind in broken_kinds(spec)} and len(summary.broken) >= 25
    assert max(summary.broken.values()) - min(summary.broken.values()) <= 1
    labels = {row["line"]: row["broken"] for row in rows(truth) if row["kind"] == "broken"}
    assert Counter(labels.values()) == summary.broken
    for number, line in enumerate(lines, start=1):
        if number not in labels:
            read_strictly(line, form)
        elif labels[number] == "over_size":
            assert len(line) > 100_000
        elif labels[number] == "no_user_message" and form == "events":
            assert json.loads(line)["role"] == "assistant"
        else:
            with pytest.raises((ValueError, KeyError, RecursionError)):
                read_strictly(line, form)


def test_ten_thousand_broken_lines_among_ten_thousand_good_ones() -> None:
    counts = Counter(entry.kind for entry in entries(LogSpec(10_000, bad_share=0.5)))
    assert counts == {"first": 10_000, "broken": 10_000}


def test_broken_lines_name_no_session_of_the_good_ones() -> None:
    log = list(entries(LogSpec(300, bad_share=0.5)))
    good = {entry.dialogue.session_id for entry in log if entry.dialogue}
    broken = b"\n".join(entry.line for entry in log if entry.broken)
    assert not any(f'"{session_id}"'.encode() in broken for session_id in good)


def test_truth_rows_say_which_line_they_are_about(tmp_path: Path) -> None:
    log, truth = tmp_path / "log.jsonl", tmp_path / "truth.jsonl"
    write_log(LogSpec(300, bad_share=0.1, **SHARES), log, truth=truth)
    lines, known = read_lines(log), rows(truth)
    assert [row["line"] for row in known] == list(range(1, len(lines) + 1))
    for row in known:
        if row["kind"] != "broken":
            document = json.loads(lines[row["line"] - 1])
            assert document["session_id"] == row["session_id"]
            for fact in row["facts"]:
                assert fact["value"] in document["messages"][fact["message_index"]]["content"]


def test_nights_are_counted_one_by_one(tmp_path: Path) -> None:
    spec = LogSpec(150, bad_share=0.1, **SHARES)
    summaries = write_nights(spec, tmp_path / "landing", 8, truth=tmp_path / "truth.jsonl")
    assert list(summaries)[:2] == ["2026-11-01", "2026-11-02"] and len(summaries) == 8
    seen: dict[str, tuple[str, bytes]] = {}
    broken: list[bytes] = []
    for day, summary in summaries.items():
        lines = read_lines(tmp_path / "landing" / f"dt={day}" / "part-0.jsonl")
        assert ingest(lines, seen) == Counter(summary.expected(one_run=False))
        known = [row for row in rows(tmp_path / "truth.jsonl") if row["night"] == day]
        assert len(known) == len(lines)
        broken += [lines[row["line"] - 1] for row in known if row["kind"] == "broken"]
    assert len(seen) == 8 * 150
    last = summaries["2026-11-08"].expected(one_run=False)
    assert last["new"] == 150 and last["updated"] and last["unchanged"] and last["superseded"] and last["quarantined"]
    assert len(set(broken)) > len(broken) * 0.9, "nights break lines of their own"


def test_a_night_does_not_depend_on_how_many_follow(tmp_path: Path) -> None:
    spec = LogSpec(50, correction_share=0.5)
    write_nights(spec, tmp_path / "a", 2)
    write_nights(spec, tmp_path / "b", 4)
    for day in ("2026-11-01", "2026-11-02"):
        name = Path(f"dt={day}") / "part-0.jsonl"
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_nights_of_an_event_log_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="whole dialogues"):
        write_nights(LogSpec(1, format="events"), tmp_path / "landing", 2)
    assert not list((tmp_path).glob("landing/*/*"))
