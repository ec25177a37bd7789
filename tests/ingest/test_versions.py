"""Which version of a dialogue stays (by updated_at, landing date, arrival), and how each line is counted."""

from __future__ import annotations

import hashlib
from itertools import permutations
from typing import Any

import pytest
from helpers import dialogue, dicts, digest_of

NIGHTS = ("2026-11-01", "2026-11-02", "2026-11-03")
CONTENTS = ("AAA", "AAB", "ABA", "ABB", "ABC")
"""What the dialogue says on each of three nights: a version may come back."""
TIMES: dict[str, tuple[str | None, str | None, str | None]] = {
    "none": (None, None, None),
    "rising": ("2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z", "2026-10-03T00:00:00Z"),
    "equal": ("2026-10-01T00:00:00Z",) * 3,
    "falling": ("2026-10-03T00:00:00Z", "2026-10-02T00:00:00Z", "2026-10-01T00:00:00Z"),
    "once": (None, "2026-10-02T00:00:00Z", None),
}


def arrivals(content: str, times: str) -> list[tuple[str, str | None, str]]:
    """(night, updated_at, content) of a dialogue's three deliveries."""
    return list(zip(NIGHTS, TIMES[times], content, strict=True))


def rank(arrival: tuple[str, str | None, str]) -> tuple[str, str]:
    return (arrival[1] or "", arrival[0])


@pytest.fixture(scope="module")
def three_runs(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Every content and every pattern of times, in every order of arrival: a session each, three runs for all."""
    from helpers import as_line, open_warehouse

    from l2a.mapping import load
    from l2a.settings import IngestSettings
    from spark_jobs.ingest import ingest

    folder = tmp_path_factory.mktemp("nights")
    warehouse = open_warehouse(spark, folder / "warehouse")
    steps: list[dict[str, list[Any]]] = [{}, {}, {}]
    for content in CONTENTS:
        for times in TIMES:
            for order in permutations(range(3)):
                session = f"{content}-{times}-{''.join(map(str, order))}"
                for step, which in enumerate(order):
                    night, updated_at, text = arrivals(content, times)[which]
                    line = dialogue(session, text, updated_at=updated_at)
                    steps[step].setdefault(night, []).append(line)
    counts = []
    for step, nights in enumerate(steps):
        for night, lines in nights.items():
            path = folder / "landing" / f"dt={night}" / f"part-{step}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(as_line(line) + b"\n" for line in lines))
        counts.append(ingest(warehouse, [str(folder / "landing")], load(None), IngestSettings()))
    return warehouse, counts, steps


def test_any_order_of_nights_ends_in_the_same_version(three_runs) -> None:
    from l2a.tables.contracts import DIALOGUES

    warehouse, _, _ = three_runs
    wrong = []
    for row in dicts(warehouse, DIALOGUES):
        content, times, _ = row["session_id"].split("-")
        night, updated_at, text = max(arrivals(content, times), key=rank)
        found = (str(row["landed"]), row["updated_at"], row["messages"][0]["content"])
        said = None if row["updated_at"] is None else row["updated_at"].strftime("%Y-%m-%dT%H:%M:%SZ")
        if (found[0], said, found[2]) != (night, updated_at, text):
            wrong.append((row["session_id"], found, (night, updated_at, text)))
    assert wrong == []
    assert warehouse.read(DIALOGUES).count() == len(CONTENTS) * len(TIMES) * 6


def test_every_line_is_in_exactly_one_count(three_runs) -> None:
    _, counts, steps = three_runs
    known: dict[str, tuple[str, str | None, str]] = {}
    for count, nights in zip(counts, steps, strict=True):
        expected = {"new": 0, "updated": 0, "unchanged": 0, "superseded": 0}
        for night, lines in nights.items():
            for line in lines:
                came = (night, line["updated_at"], line["messages"][0]["content"])
                old = known.get(line["session_id"])
                if old is None:
                    fate = "new"
                elif old[2] == came[2]:
                    fate = "updated" if (came[1] or "") > (old[1] or "") else "unchanged"
                else:
                    fate = "superseded" if rank(came) < rank(old) else "updated"
                expected[fate] += 1
                if old is None or rank(came) >= rank(old):
                    known[line["session_id"]] = came
        assert {name: getattr(count, f"rows_{name}") for name in expected} == expected
        assert count.rows_in == sum(len(lines) for lines in nights.values()) == sum(expected.values())


def test_versions_within_one_file_and_the_same_dialogue_in_another(take, write_lines, warehouse) -> None:
    from l2a.tables.contracts import DIALOGUES

    early, late = "2026-11-01T00:00:00Z", "2026-11-01T02:00:00+01:00"
    path = write_lines(
        "logs.jsonl",
        [
            dialogue("time wins", "late", updated_at=late),
            dialogue("time wins", "early", updated_at=early),
            dialogue("line wins", "first"),
            dialogue("line wins", "second"),
            dialogue("comes back", "A"),
            dialogue("comes back", "B"),
            dialogue("comes back", "A"),
            dialogue("twice", "same"),
            dialogue("twice", "same"),
        ],
    )
    counts = take(path)
    said = {row["session_id"]: row["messages"][0]["content"] for row in dicts(warehouse, DIALOGUES)}
    assert said == {"time wins": "late", "line wins": "second", "comes back": "A", "twice": "same"}
    assert (counts.rows_new, counts.rows_unchanged, counts.rows_superseded, counts.rows_in) == (4, 2, 3, 9)

    before = digest_of(warehouse)
    assert take(path) is None
    assert digest_of(warehouse) == before

    again = write_lines("again.jsonl", [dialogue("twice", "same"), dialogue("time wins", "early", updated_at=early)])
    counts = take(again)
    assert (counts.rows_in, counts.rows_unchanged, counts.rows_superseded) == (2, 1, 1)
    assert digest_of(warehouse)["dialogues"] == before["dialogues"]


@pytest.mark.parametrize("form", ["native", "events"])
def test_a_dialogue_that_comes_again_on_a_later_night_keeps_its_source_split_and_time(
    take, write_lines, warehouse, form
) -> None:
    from l2a.tables.contracts import DIALOGUES

    said = dialogue("s", "hi", updated_at="2026-11-01T00:00:00Z")
    line = said if form == "native" else {"session_id": "s", "seq": 1, "role": "user", "content": "hi"}
    first = write_lines("landing/dt=2026-11-01/a.jsonl", [line])
    take(first, mapping=form, given_split="eval")
    (before,) = dicts(warehouse, DIALOGUES)
    again = write_lines("landing/dt=2026-11-02/a.jsonl", [line])
    assert take(again, mapping=form).rows_unchanged == 1
    (after,) = dicts(warehouse, DIALOGUES)
    assert (before["split"], str(before["landed"]), str(after["landed"])) == ("eval", "2026-11-01", "2026-11-02")
    assert after == {**before, "landed": after["landed"]}


@pytest.mark.parametrize("shares", [(8, 1, 1), (0, 0, 1), (1, 2, 0)])
def test_the_split_is_a_hash_of_the_session_or_its_group(spark, shares) -> None:
    from l2a.ingest.split import split

    keys = [(f"s{i}", None if i % 3 else f"customer {i % 7} 客户") for i in range(600)]
    rows = spark.createDataFrame(keys, "session_id string, group string")

    def found(given: str | None) -> dict[str, str]:
        return dict(rows.select("session_id", split(shares, given)).collect())

    def expected(session: str, group: str | None) -> str:
        part = int(hashlib.md5((group or session).encode()).hexdigest()[:8], 16) % 10_000 * sum(shares)
        return "train" if part < 10_000 * shares[0] else "dev" if part < 10_000 * sum(shares[:2]) else "eval"

    assert found(None) == {session: expected(session, group) for session, group in keys}
    assert set(found("eval").values()) == {"eval"}
    if sum(shares[:2]):
        only = found("train")
        assert "eval" not in only.values()
        by_group = {(group, only[session]) for session, group in keys if group}
        assert len(by_group) == len({group for _, group in keys if group})
