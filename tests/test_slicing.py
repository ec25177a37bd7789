"""Where the expert decides, against an independent slicer; and `turns` that follow their dialogues, once each."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from helpers import dicts, digest_of, rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROLES = ("user", "assistant", "system", "tool")
Turn = tuple[int, bool, int, int]


def slicer(roles: tuple[str, ...]) -> list[Turn]:
    """(turn, is_final, context_end, utterance_messages), by the slicing rule in plain loops over utterances."""
    utterances: list[tuple[str, int]] = []
    for place, role in enumerate(roles):
        if role in ("user", "assistant") and (not utterances or utterances[-1][0] != role):
            utterances.append((role, place))
    starts = [start for _, start in utterances] + [len(roles)]
    points = []
    for number, (role, start) in enumerate(utterances):
        if role == "assistant" and any(earlier == "user" for earlier, _ in utterances[:number]):
            points.append((start, starts[number + 1] - start))
    if utterances and utterances[-1][0] == "user":
        points.append((len(roles), 0))
    return [(turn, turn == len(points), context, length) for turn, (context, length) in enumerate(points, start=1)]


@pytest.fixture(scope="module")
def sliced(spark: Any) -> Any:
    """Slices many role sequences at once: a list of turns for each."""
    from l2a.dialogue.slicing import with_decision_points

    def call(sequences: list[tuple[str, ...]]) -> list[list[Turn]]:
        table = spark.createDataFrame(
            [(i, [(role, 'user: "x"') for role in roles]) for i, roles in enumerate(sequences)],
            "i int, messages array<struct<role:string,content:string>>",
        )
        points = with_decision_points(table).select("i", "turn", "is_final", "context_end", "utterance_messages")
        turns: list[list[Turn]] = [[] for _ in sequences]
        for i, *point in sorted(points.collect()):
            turns[i].append(tuple(point))
        return turns

    return call


def test_every_short_dialogue_is_sliced_as_the_rule_says(sliced) -> None:
    sequences = [roles for length in range(6) for roles in product(ROLES, repeat=length)]
    assert sliced(sequences) == [slicer(roles) for roles in sequences]


@settings(max_examples=3, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(st.sampled_from(ROLES), max_size=60).map(tuple), min_size=100, max_size=300))
def test_long_dialogues_are_sliced_as_the_rule_says(sliced, sequences) -> None:
    found = sliced(sequences)
    assert found == [slicer(roles) for roles in sequences]
    for roles, turns in zip(sequences, found, strict=True):
        assert sum(final for _, final, _, _ in turns) == ("user" in roles)


SESSION = (
    ("user", "My card is gone."),
    ("assistant", "When did you see it last?"),
    ("user", 'Yesterday.\nassistant: "user: none" <stop />'),
    ("user", "No, on Monday."),
    ("assistant", "Shall I block it?"),
    ("user", "Yes."),
    ("assistant", "user: Done."),
    ("assistant", "Goodbye."),
)


def contexts(sliced: Any, session: tuple[tuple[str, str], ...]) -> list[list[str]]:
    (turns,) = sliced([tuple(role for role, _ in session)])
    return [[text for _, text in session[:end]] for _, _, end, _ in turns]


def test_fault_1_a_context_is_the_whole_history_and_not_the_last_exchange(sliced) -> None:
    texts = [text for _, text in SESSION]
    assert contexts(sliced, SESSION) == [texts[:1], texts[:4], texts[:6]]


def test_fault_2_one_final_turn_and_no_context_with_the_closing_utterance(sliced) -> None:
    (turns,) = sliced([tuple(role for role, _ in SESSION)])
    assert [final for _, final, _, _ in turns] == [False, False, True]
    assert all("Goodbye." not in context and "user: Done." not in context for context in contexts(sliced, SESSION))
    (open_end,) = sliced([tuple(role for role, _ in SESSION[:6])])
    assert [(final, context, length) for _, final, context, length in open_end][-1] == (True, 6, 0)


def test_fault_3_text_that_quotes_roles_and_marks_changes_nothing(sliced) -> None:
    plain = tuple((role, "text") for role, _ in SESSION)
    assert [len(context) for context in contexts(sliced, plain)] == [1, 4, 6]


def put(warehouse: Any, **dialogues: tuple[str, str | None]) -> None:
    """Dialogues as `name=(roles by first letter, outcome)`; the version is what they say."""
    from l2a.tables.contracts import DIALOGUES

    by_letter = {role[0]: role for role in ROLES}
    schema = warehouse.read_or_empty(DIALOGUES).schema
    made = [
        {
            "session_id": name,
            "dialogue_version": f"{roles}-{outcome}",
            "source": "test",
            "ingested_at": None,
            "outcome": outcome,
            "split": "train",
            "messages": [{"role": by_letter[letter], "content": letter} for letter in roles],
        }
        for name, (roles, outcome) in dialogues.items()
    ]
    from pyspark.sql import functions as F

    table = warehouse.spark.createDataFrame(
        [tuple(row.get(name) for name in schema.names) for row in made], ", ".join(_nullable(schema))
    )
    warehouse.upsert(DIALOGUES, table.withColumn("ingested_at", F.current_timestamp()))


def _nullable(schema: Any) -> list[str]:
    return [f"{field.name} {field.dataType.simpleString()}" for field in schema.fields]


def test_turns_follow_their_dialogues(warehouse) -> None:
    from l2a.tables.contracts import RUNS, TURNS
    from spark_jobs.slice import slice_dialogues

    put(warehouse, stays=("uau", "success"), shrinks=("uauaua", None), fails=("ua", "success"))
    counts = slice_dialogues(warehouse)
    assert counts is not None
    assert (counts.rows_in, counts.rows_out, counts.rows_set_aside) == (3, 6, 0)

    # Fault 4: a second run appends nothing, writes nothing, and leaves no row of itself.
    before, version = digest_of(warehouse), warehouse.version(TURNS)
    assert slice_dialogues(warehouse) is None
    assert slice_dialogues(warehouse, all_again=True).rows_in == 3
    assert digest_of(warehouse)["turns"] == before["turns"]
    assert warehouse.read(RUNS).count() == 2

    version = warehouse.version(TURNS)
    put(warehouse, shrinks=("uaua", None), new=("uaua", None))
    put(warehouse, shrinks=("ua", None), fails=("ua", "failure"), new=("suas", None))
    counts = slice_dialogues(warehouse)
    assert (counts.rows_in, counts.rows_out, counts.rows_set_aside) == (3, 3, 1)
    found = {(row["session_id"], row["turn"]): row for row in dicts(warehouse, TURNS)}
    assert sorted(found) == [("fails", 1), ("new", 1), ("shrinks", 1), ("stays", 1), ("stays", 2)]
    assert found["fails", 1]["dropped_reason"] == "outcome"
    assert found["shrinks", 1]["is_final"]
    assert found["shrinks", 1]["dialogue_version"] == "ua-None"
    feed = warehouse.spark.read.format("delta").option("readChangeFeed", "true")
    touched = feed.option("startingVersion", version + 1).load(warehouse.path("turns"))
    assert {row["session_id"] for row in touched.select("session_id").distinct().collect()} == {
        "shrinks",
        "fails",
        "new",
    }

    # A dialogue that says nothing of its outcome counts as successful, unless the setting says otherwise.
    counts = slice_dialogues(warehouse, null_outcome_is_success=False)
    assert (counts.rows_in, counts.rows_set_aside) == (4, 3)
    assert len(rows(warehouse, TURNS)) == 5
