"""What `l2a judge-check` counts: agreement as scikit-learn has it, attacks that win, anchors that say what is wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, f1_score, mean_squared_error

from l2a.dialogue.types import Fact
from l2a.errors import UsageError
from l2a.judge.protocols import Judgement, Question
from l2a.judge_check import extracting, grading
from l2a.judge_check.attacks import ITEMS
from l2a.judge_check.figures import REPLICATES, Finding, agreement, f1, ratio, squared_error, weighted_kappa
from l2a.judge_check.source import Anchor, Asked, read_anchors

PAIRS = st.lists(st.tuples(st.sampled_from([0, 1, 2]), st.sampled_from([0, 1, 2])), min_size=2, max_size=60)


@given(PAIRS)
def test_agreement_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    human, judge = [a for a, _ in pairs], [b for _, b in pairs]
    table = np.zeros((3, 3))
    np.add.at(table, (human, judge), 1)
    if len({*human, *judge}) > 1:
        expected = cohen_kappa_score(human, judge, labels=[0, 1, 2], weights="quadratic")
        assert float(weighted_kappa(table)) == pytest.approx(expected, nan_ok=True)
    theirs = f1_score(human, judge, labels=[0, 1, 2], average=None, zero_division=np.nan)
    assert [float(f1(table, level)) for level in range(3)] == pytest.approx(list(theirs), nan_ok=True)
    assert float(squared_error(table)) == pytest.approx(mean_squared_error(np.array(human) / 2, np.array(judge) / 2))


def test_an_interval_holds_its_value_and_belongs_to_the_data_alone() -> None:
    rng = np.random.default_rng(3)
    tables = [np.bincount(rng.integers(0, 9, 4), minlength=9).reshape(3, 3).astype(float) for _ in range(30)]
    found = agreement("c", tables, 120)
    assert found == agreement("c", tables, 120)
    assert [one.what for one in found] == [
        "weighted kappa", "F1 of grade 0", "F1 of grade 0.5", "F1 of grade 1", "mean squared error",
        "share of equal grades",
    ]  # fmt: skip
    for one in found:
        assert one.value is not None and one.ci_low is not None and one.ci_high is not None
        assert one.ci_low <= one.value <= one.ci_high
        assert one.n_dialogues == 30
    assert REPLICATES == 1000
    nothing = ratio("c", "w", np.zeros((0, 2)), 0)
    assert (nothing.value, nothing.ci_low, nothing.n) == (None, None, 0)


class Fake:
    """Answers by a rule."""

    name = "fake"

    def __init__(self, r_a: float | None, unsteady: bool = False) -> None:
        self.r_a = r_a
        self.unsteady = unsteady

    def grade(self, questions: Sequence[Question]) -> list[Judgement]:
        if self.r_a is None:
            return [Judgement(None, None, "grader: Refused: it declined") for _ in questions]
        first = [0.0 if self.unsteady else self.r_a]
        return [Judgement(r_a, asks=True) for r_a in [*first, *[self.r_a] * len(questions)][: len(questions)]]


def by_what(findings: Sequence[Finding]) -> dict[str, Finding]:
    return {one.what: one for one in findings}


def test_a_grader_that_pays_everyone_loses_to_the_attacks_and_one_that_pays_nobody_to_the_honest() -> None:
    generous, mean = (by_what(grading.check_attacks(Fake(r_a))) for r_a in (1.0, 0.0))
    spoken, planted = "attacks by the utterance that are paid too much", "attacks by the user that are paid too much"
    assert (generous[spoken].value or 0) > 0.8
    assert generous[planted].value == 1.0
    assert (mean[spoken].value, mean[planted].value) == (0.0, 0.0)
    assert mean["honest utterances paid as they deserve"].value == pytest.approx(2 / 6)
    refused = by_what(grading.check_attacks(Fake(None)))
    assert refused[planted].value is None, "a failure is no grade, neither 0 nor 1"
    assert "Refused" in refused[planted].note


ASKED = [Asked(f"s-{i % 5}", Question(f"What is your name, number {i}?", ITEMS)) for i in range(20)]


def test_repeats_tell_what_fails_and_what_changes() -> None:
    found, gradings, failed = grading.check_repeats(lambda number: Fake(1.0), ASKED, 3)
    assert (gradings, failed) == (60, 0)
    assert by_what(found)["same R_a in 3 askings"].value == 1.0
    found, _, _ = grading.check_repeats(lambda number: Fake(1.0, unsteady=number == 1), ASKED, 3)
    assert by_what(found)["same R_a in 3 askings"].value == pytest.approx(19 / 20)
    found, _, failed = grading.check_repeats(lambda number: Fake(None if number == 2 else 1.0), ASKED, 3)
    assert failed == 20
    assert by_what(found)["share of gradings with a grade"].value == pytest.approx(2 / 3)
    assert by_what(found)["same R_a in 3 askings"].n == 0


def test_two_questions_at_once_are_held_to_what_they_would_be_paid() -> None:
    anchors = [Anchor("s", Question("Your name? Your age?", ITEMS), 0.5)]
    found, failed = grading.check_anchors(Fake(1.0), anchors)
    assert failed == 0
    assert by_what(found)["share of equal grades"].value == 1.0


def anchor(**changes: object) -> str:
    line = {"context": [{"role": "user", "content": "我头疼 <|im_end|>"}], "information": ["疼痛: 三天"],
            "text": "疼了多久？", "grade": 0.5}  # fmt: skip
    return json.dumps({**line, **changes}, ensure_ascii=False)


def test_anchors_are_read_in_any_script(tmp_path: Path) -> None:
    file = tmp_path / "anchors.jsonl"
    file.write_text("\n".join([anchor(), "", anchor(session_id="s-1", grade=1, text="?\u2028x")]), "utf-8")
    first, second = read_anchors(str(file))
    assert (first.session_id, first.grade, first.question.information) == ("line 1", 0.5, ("疼痛: 三天",))
    assert (second.session_id, second.grade, second.question.text) == ("s-1", 1.0, "?\u2028x")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (anchor(grade=0.7), "line 1: grade: .*0, 0.5 or 1"),
        (anchor(information=[]), "line 1: information"),
        (anchor(context=[{"role": "judge", "content": "x"}]), "line 1: context.0.role"),
        (anchor(garde=1), "line 1: garde"),
        ("{", "line 1: not JSON"),
        ("", "no anchor"),
    ],
)
def test_a_wrong_anchor_is_named(tmp_path: Path, line: str, says: str) -> None:
    file = tmp_path / "anchors.jsonl"
    file.write_text(line, "utf-8")
    with pytest.raises(UsageError, match=says):
        read_anchors(str(file))


def test_items_are_matched_one_to_one_by_their_values() -> None:
    assert extracting.matched(["name: Tom Hill", "day: Monday"], ["full name: tom hill", "when: on Monday"]) == 2
    assert extracting.matched(["a: 三天了", "b: 三天了"], ["c: 三天"]) == 1
    assert extracting.matched(["a: yes"], ["a: no"]) == 0
    assert extracting.matched([], ["a: b"]) == 0
    assert extracting.matched(["a: 🤕"], ["a: 🤕"]) == 1


def test_information_of_a_turn_is_what_comes_later_and_not_before() -> None:
    facts = [Fact(0, "day", "Monday"), Fact(4, "name", "Tom"), Fact(2, "day", "Monday"), Fact(4, "age", "7")]
    assert extracting.after(facts, 1) == ["age: 7", "name: Tom"]
    assert extracting.after(facts, 0) == ["day: Monday", "age: 7", "name: Tom"]
    assert extracting.after(facts, 5) == []
