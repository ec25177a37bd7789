"""Generic attributes: found from the data, overruled by a person, kept out of I*_t where everybody can see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2a.errors import UsageError
from l2a.hindsight.decide import decided, read_overrules
from l2a.settings import ObjectiveSettings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FIGURES = {"dialogues": 60, "turns": 100, "asked_share": 0.97, "hit_share": 0.9, "context_effect": 0.01}
LISTED = [{"domain": "bank", "attribute": "consent", **FIGURES}]


@pytest.mark.parametrize(
    ("changes", "generic"),
    [
        ({}, True),
        ({"dialogues": 49}, False),
        ({"asked_share": 0.949}, False),
        ({"context_effect": 0.051}, False),
    ],
)
def test_generic_is_what_nearly_everyone_is_asked_whatever_came_before(changes: dict[str, Any], generic: bool) -> None:
    (row,) = decided([{**LISTED[0], **changes}], ObjectiveSettings(), {})
    assert (row["generic"], row["decided_by"]) == (generic, "data")


@given(st.booleans(), st.floats(0, 1), st.floats(0, 0.5), st.integers(1, 10**6))
def test_a_persons_word_counts_whatever_the_figures_say(word: bool, share: float, effect: float, n: int) -> None:
    listed = [{**LISTED[0], "asked_share": share, "context_effect": effect, "dialogues": n}]
    (row,) = decided(listed, ObjectiveSettings(), {("bank", "consent"): word})
    assert (row["generic"], row["decided_by"]) == (word, "file")


def test_the_file_is_read_in_any_script_and_refused_where_it_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "generic.toml"
    file.write_text('["医疗"]\n"过敏史" = true\n[bank]\n" Full Name" = false\n', "utf-8")
    assert read_overrules(str(file)) == {("医疗", "过敏史"): True, ("bank", "full name"): False}
    assert read_overrules(None) == {}
    for wrong in ("bank = true", '[bank]\nname = "yes"', "[bank"):
        file.write_text(wrong, "utf-8")
        with pytest.raises(UsageError, match="generic_file"):
            read_overrules(str(file))
    with pytest.raises(UsageError, match="generic_file"):
        read_overrules(str(tmp_path / "nowhere.toml"))


def test_figures_tell_a_form_from_a_ritual(spark: SparkSession) -> None:
    from l2a.hindsight.generic import figures

    def told(n: int) -> Iterator[tuple[Any, ...]]:
        """The name comes first, then one of two things, then a ritual; the last one also says a detail."""
        middle = ("amount: 5", "place: market")[n % 2]
        left = [f"name: N{n}", middle, "Any consent: yes", "detail: blue"]
        for turn in range(4):
            yield ("bank", f"s-{n}", turn + 1, left[turn:], None)

    rows = [row for n in range(8) for row in told(n)] + [("bank", "s-8", 1, [], "nothing_gained")]
    schema = "domain string, session_id string, turn int, supplied array<string>, dropped_reason string"
    found = {row["attribute"]: row for row in figures(spark.createDataFrame(rows, schema), [("bank", "amount")])}
    assert set(found) == {"name", "any consent", "amount"}, "a detail has no attribute; a place is asked of few"
    name, ritual, amount = found["name"], found["any consent"], found["amount"]
    assert (name["dialogues"], name["turns"]) == (9, 32)
    assert name["asked_share"] == ritual["asked_share"] == pytest.approx(8 / 9, abs=1e-6)
    assert amount["asked_share"] == pytest.approx(4 / 9, abs=1e-6)
    assert (name["hit_share"], ritual["hit_share"]) == (0.25, 0.75)
    # name: at 8 of 32 turns, always before anything was supplied: (8*.75 + 24*.25) / 32.
    assert name["context_effect"] == pytest.approx(0.375)
    assert ritual["context_effect"] == pytest.approx((24 * 0.25 + 8 * 0.75) / 32)
