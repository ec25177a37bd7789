"""When a file that was read is read again: for another split it is refused, for larger limits it is taken, and for a
mapping or a state that it once had it is taken as if for a new one."""

from __future__ import annotations

import os
from typing import Any

import pytest
from helpers import Killed, dialogue, dicts

from l2a.errors import UsageError
from l2a.ingest.reading import Reading
from l2a.mapping import Mapping, load

MANY = [dialogue(f"s-{number}") for number in range(40)]


def splits(warehouse) -> dict[str, str]:
    from l2a.tables.contracts import DIALOGUES

    return {row["session_id"]: row["split"] for row in dicts(warehouse, DIALOGUES)}


def test_test_data_that_was_read_without_its_split_is_refused_and_never_left_in_train_silently(
    take, write_lines, warehouse
) -> None:
    path = write_lines("test.jsonl", MANY)
    take(path)
    before = splits(warehouse)
    assert set(before.values()) == {"train", "dev", "eval"}
    told = r"--split eval: \d+ of these dialogues came before, from file:.*test\.jsonl, into \w+, and .*new"
    with pytest.raises(UsageError, match=told):
        take(path, given_split="eval")
    with pytest.raises(UsageError, match=r"--split train: .*into eval"):
        take(path, given_split="train")
    with pytest.raises(UsageError, match="into train"):
        take(path, given_split="eval", mapping="openai")
    write_lines("test.jsonl", [*MANY, dialogue("one more")])
    with pytest.raises(UsageError, match="into train"):
        take(path, given_split="eval")
    assert splits(warehouse) == before


def test_test_data_that_came_with_the_rest_is_refused_as_a_file_of_its_own(take, write_lines, warehouse) -> None:
    take(write_lines("all.jsonl", MANY))
    before = splits(warehouse)
    test = write_lines("test.jsonl", [*MANY[:20], dialogue("one more")])
    with pytest.raises(UsageError, match=r"\d+ of .*from file:.*all\.jsonl, into"):
        take(test, given_split="eval")
    assert splits(warehouse) == before
    apart = write_lines("apart.jsonl", [dialogue("another")])
    assert take(apart, given_split="eval").rows_new == 1


def test_a_split_that_was_given_holds_for_the_file_from_then_on(take, write_lines, warehouse) -> None:
    path = write_lines("test.jsonl", MANY)
    take(path, given_split="eval")
    assert take(path, given_split="eval") is None
    assert take(path) is None, "nothing is asked of it"
    with pytest.raises(UsageError, match="into eval"):
        take(path, given_split="train")
    write_lines("test.jsonl", [*MANY, dialogue("one more")])
    with pytest.raises(
        UsageError, match="was read with --split eval before and is to be read again: give --split eval"
    ):
        take(path)
    assert take(path, given_split="eval").rows_new == 1
    assert set(splits(warehouse).values()) == {"eval"}


def test_a_split_of_a_run_that_was_killed_holds_as_well(take, write_lines, warehouse, monkeypatch) -> None:
    from l2a.ingest.intake import Intake

    def dies(*args: Any) -> None:
        raise Killed

    path = write_lines("test.jsonl", MANY)
    with monkeypatch.context() as then:
        then.setattr(Intake, "_merge", dies)
        with pytest.raises(Killed):
            take(path, given_split="eval")
    with pytest.raises(UsageError, match="was read with --split eval before and is to be read again"):
        take(path)
    assert take(path, given_split="eval").rows_new == len(MANY)


def test_a_correction_from_another_file_leaves_a_dialogue_in_the_split_that_was_given(
    take, write_lines, warehouse
) -> None:
    take(write_lines("test.jsonl", MANY), given_split="eval")
    for night in ("corrected", "again"):
        later = [dialogue(f"s-{number}", night, group=f"g-{number}") for number in range(40)]
        assert take(write_lines(f"{night}.jsonl", later)).rows_updated == len(MANY)
        assert set(splits(warehouse).values()) == {"eval"}


def test_an_empty_group_is_nobodys(take, write_lines, warehouse) -> None:
    take(write_lines("anonymous.jsonl", [{**line, "group": ""} for line in MANY]))
    assert set(splits(warehouse).values()) == {"train", "dev", "eval"}


def test_a_file_of_which_nothing_lies_elsewhere_may_still_be_given_a_split(take, write_lines, warehouse) -> None:
    path = write_lines("test.jsonl", MANY)
    assert take(path, mapping="openai").rows_quarantined == len(MANY), "the wrong mapping, and no split"
    assert take(path, given_split="eval").rows_new == len(MANY)
    assert take(path, given_split="eval") is None
    assert set(splits(warehouse).values()) == {"eval"}


def test_a_line_that_was_too_large_comes_in_once_the_limit_is_raised(take, write_lines, warehouse) -> None:
    from l2a.tables.contracts import QUARANTINE, SOURCES

    path = write_lines("logs.jsonl", [dialogue("small"), dialogue("large", "x" * 600)])
    assert take(path, settings={"max_message_bytes": 500}).rows_quarantined == 1
    assert take(path, settings={"max_message_bytes": 400}) is None, "a lower limit takes nothing back"
    counts = take(path, settings={"max_message_bytes": 700})
    assert (counts.rows_new, counts.rows_unchanged, counts.rows_quarantined) == (1, 1, 0)
    assert warehouse.read(QUARANTINE).count() == 0
    assert take(path, settings={"max_message_bytes": 700}) is None
    assert take(path).rows_unchanged == 2, "the default is larger still"
    assert take(path) is None
    assert warehouse.read(SOURCES).select(*SOURCES.key).distinct().count() == warehouse.read(SOURCES).count() == 3


def faulty() -> Mapping:
    """The native mapping, but it takes the goal for the domain and does not know the role of the expert."""
    right = load(None)
    fields = right.fields.model_copy(update={"domain": right.fields.goal, "goal": None})
    return right.model_copy(update={"fields": fields, "roles": {"user": "user", "other": "assistant"}})


@pytest.mark.prove
def test_going_back_to_an_earlier_mapping_brings_back_what_it_read_as_often_as_one_goes(
    take, write_lines, warehouse
) -> None:
    from l2a.tables.contracts import DIALOGUES, QUARANTINE, RUNS, SOURCES

    lines = [dialogue("short", "hello", domain="bank", goal="block"), dialogue("long"), "not a line"]
    path = write_lines("logs.jsonl", lines)

    def told() -> tuple[list[Any], list[Any]]:
        dialogues = [
            (row["session_id"], row["dialogue_version"], row["domain"], row["goal"])
            for row in dicts(warehouse, DIALOGUES)
        ]
        return dialogues, [(row["position"], row["reason"]) for row in dicts(warehouse, QUARANTINE)]

    assert take(path).rows_new == 2
    right = told()
    assert take(path, mapping=faulty()).rows_quarantined == 2
    wrong = told()
    assert wrong != right
    for number in range(1, 3):
        counts = take(path)
        assert (counts.rows_updated, counts.rows_unchanged, counts.rows_quarantined) == (1, 1, 1)
        assert told() == right
        assert take(path) is None
        if number == 1:
            assert take(path, mapping=faulty()).rows_updated == 1
            assert told() == wrong
            assert take(path, mapping=faulty()) is None
    sources = dicts(warehouse, SOURCES)
    assert len({tuple(row[name] for name in SOURCES.key) for row in sources}) == len(sources) == 2
    runs = {row["run_id"]: row["started_at"] for row in dicts(warehouse, RUNS)}
    assert len(runs) == 5, "each reading is a run of its own"
    newest = max(sources, key=lambda row: row["ingested_at"])
    assert runs[newest["run_id"]] == max(runs.values())


def test_of_files_that_were_read_by_two_mappings_only_those_last_read_by_the_other_are_read_again(
    take, write_lines, warehouse
) -> None:
    from l2a.tables.contracts import SOURCES

    paths = [write_lines(f"{name}.jsonl", [dialogue(name, "hello", goal="block")]) for name in "ab"]
    take(*paths)
    take(paths[0], mapping=faulty())
    counts = take(*paths)
    assert (counts.rows_in, counts.rows_updated) == (1, 1)
    assert take(*paths) is None
    assert warehouse.read(SOURCES).count() == 3


def test_a_file_that_is_put_back_as_it_was_is_read_again(take, write_lines, warehouse) -> None:
    from l2a.tables.contracts import DIALOGUES, SOURCES

    for text, modified in (("first", 1_000_000_000), ("other", 1_000_000_500), ("first", 1_000_000_000)):
        path = write_lines("logs.jsonl", [dialogue("s", text)])
        os.utime(path, (modified, modified))
        assert take(path).rows_in == 1
        assert take(path) is None
        (row,) = dicts(warehouse, DIALOGUES)
        assert row["messages"][0]["content"] == text
    assert warehouse.read(SOURCES).count() == 2


@pytest.mark.parametrize(
    "text", ["native 12ab", "my logs 12ab split=eval", "native 12ab split=train max_message_bytes=7 max_line_bytes=9"]
)
def test_how_a_file_was_read_is_written_and_read_back(text) -> None:
    assert str(Reading.of(text)) == text
    assert Reading.of(text).mapping == text.split(" split")[0]


def test_a_file_that_an_older_warehouse_has_read_is_not_read_again() -> None:
    from l2a.settings import IngestSettings

    now = IngestSettings()
    assert str(Reading("native 12ab", None, now.max_message_bytes, now.max_line_bytes)) == "native 12ab"
