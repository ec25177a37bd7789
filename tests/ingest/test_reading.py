"""When a file that was read is read again: for another split it is refused, for larger limits it is taken."""

from __future__ import annotations

import pytest
from helpers import dialogue, dicts

from l2a.errors import UsageError
from l2a.ingest.reading import Reading

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
