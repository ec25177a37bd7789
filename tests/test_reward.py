"""The reward and the grade: the method's table of cases, and the columns against the numbers over all inputs."""

from __future__ import annotations

from itertools import product

import pytest

from l2a.dialogue.utterance import parse
from l2a.judge.protocols import Judgement
from l2a.reward import FORMS, Grade, OmegaWeights, grade, needs_grader, reward

DIRECT, CLOSE, MISS = (Judgement(level, True) for level in (1.0, 0.5, 0.0))
FAILED = Judgement(None, None, "HTTP 503")

TEXTS = [
    "<stop />",
    " <stop />\n",
    "Anything else? <stop />",
    "",
    "Your age?",
    "Age? Sex?",
    "Age? Sex? Job?",
    "Tell me.",
]
JUDGEMENTS = [
    None,
    FAILED,
    *(Judgement(level, asks) for level, asks in product([None, 0.0, 0.5, 1.0, 0.7, float("nan")], [None, False, True])),
]


@pytest.mark.parametrize(
    ("target", "text", "judgement", "expected"),
    [
        ("CONTINUE", "Your age?", DIRECT, Grade(1.0, 1.0, 1.0, "ok")),
        ("CONTINUE", "Your age?", CLOSE, Grade(0.5, 1.0, 1.0, "ok")),
        ("CONTINUE", "Age? Sex?", DIRECT, Grade(0.5, 1.0, 0.5, "ok")),
        ("CONTINUE", "Age? Sex? Job?", DIRECT, Grade(0.5, 1.0, 0.0, "ok")),
        ("CONTINUE", "Age? Sex?", MISS, Grade(0.0, 1.0, 0.5, "ok")),
        ("CONTINUE", "Tell me your age.", DIRECT, Grade(1.0, 1.0, 1.0, "ok")),
        ("CONTINUE", "I see.", Judgement(0.0, False), Grade(0.0, 1.0, 0.0, "ok")),
        ("CONTINUE", "", None, Grade(0.0, 1.0, 0.0, "ok")),
        ("CONTINUE", "<stop />", None, Grade(0.0, 0.0, 0.0, "ok")),
        ("CONTINUE", "Your age? <stop />", DIRECT, Grade(0.0, 0.0, 0.0, "ok")),
        ("STOP", "Your age?", DIRECT, Grade(0.0, 0.0, 0.0, "ok")),
        ("STOP", "<stop />", None, Grade(1.0, 1.0, 1.0, "ok")),
        ("STOP", "Goodbye! <stop />", None, Grade(1.0, 1.0, 0.0, "ok")),
        ("CONTINUE", "Your age?", FAILED, Grade(None, 1.0, None, "failed", "HTTP 503")),
    ],
)
def test_a_grade_follows_the_method(target, text, judgement, expected) -> None:  # type: ignore[no-untyped-def]
    assert grade(target, parse(text), judgement) == expected


def test_a_failed_rollout_has_no_parts_at_all() -> None:
    found = grade("STOP", None)
    assert (found.r_a, found.r_s, found.omega, found.status) == (None, None, None, "failed")
    assert found.error


def test_a_grader_that_fails_never_gives_a_reward() -> None:
    for judgement in (None, FAILED, Judgement(float("nan"), True), Judgement(0.7, True), Judgement(None, True)):
        found = grade("CONTINUE", parse("Your age?"), judgement)
        assert found.status == "failed"
        assert found.error
        assert found.r_s == 1.0
        assert [reward(found.r_a, found.r_s, found.omega, form=form) for form in FORMS] == [None] * 4


def test_only_what_needs_the_grader_waits_for_it() -> None:
    for target, text in product(("CONTINUE", "STOP"), TEXTS):
        needed = needs_grader(target, parse(text))
        assert needed == (grade(target, parse(text), None).status == "failed")
        assert needed == (target == "CONTINUE" and text != "" and "<stop />" not in text)


@pytest.mark.parametrize(
    ("form", "beta", "expected"),
    [
        ("product", 2.0, 3.0),
        ("product", 0.0, 2.0),
        ("product", 4.0, 4.0),
        ("sum", 2.0, 2.5),
        ("without_r_a", 2.0, 4.0),
        ("without_r_a", 0.5, 2.5),
        ("without_r_s", 2.0, 2.0),
        ("without_r_s", 0.5, 1.25),
    ],
)
def test_each_form_of_the_reward_at_any_beta(form, beta, expected) -> None:  # type: ignore[no-untyped-def]
    assert reward(0.5, 1.0, 1.0, beta=beta, form=form) == expected


def test_the_reward_lies_between_0_and_4_and_a_right_stop_has_all_of_it() -> None:
    parts = product((0.0, 0.5, 1.0), (0.0, 1.0), (0.0, 0.5, 1.0))
    assert {reward(a, s, o) for a, s, o in parts} <= {x / 2 for x in range(9)}
    assert reward(1.0, 1.0, 1.0) == 4.0


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ValueError, match="without_r_s"):
        reward(1.0, 1.0, 1.0, form="no_r_s")  # type: ignore[arg-type]


@pytest.mark.parametrize("weights", [OmegaWeights(), OmegaWeights(0.9, 0.4, 0.1, 0.2, 0.8, 0.3)])
def test_columns_grade_as_the_function_does_over_all_inputs(spark, weights: OmegaWeights) -> None:  # type: ignore[no-untyped-def]
    from pyspark.sql import functions as F

    from l2a.reward.columns import grade_column, needs_grader_column

    cases = list(product(("CONTINUE", "STOP"), [None, *TEXTS], JUDGEMENTS))
    rows = [(i, s, t, *((j.r_a, j.asks, j.error) if j else (None,) * 3)) for i, (s, t, j) in enumerate(cases)]
    frame = spark.createDataFrame(rows, "i int, s string, t string, r_a double, asks boolean, error string")
    columns = [F.col(name) for name in ("s", "t", "r_a", "asks", "error")]
    graded = frame.select("i", needs_grader_column(*columns[:2]), grade_column(*columns, weights)).collect()
    assert len(graded) == len(cases)
    for i, needed, found in graded:
        target, text, judgement = cases[i]
        utterance = None if text is None else parse(text)
        assert needed == needs_grader(target, utterance), cases[i]
        assert Grade(*found) == grade(target, utterance, judgement, weights), cases[i]


def test_columns_reward_as_the_function_does_over_all_inputs(spark) -> None:  # type: ignore[no-untyped-def]
    from pyspark.sql import functions as F

    from l2a.reward.columns import reward_column

    levels = (None, 0.0, 0.5, 1.0)
    cases = [(i, *parts) for i, parts in enumerate(product(levels, levels, levels))]
    frame = spark.createDataFrame(cases, "i int, r_a double, r_s double, omega double")
    parts = [F.col(name) for name in ("r_a", "r_s", "omega")]
    forms = list(product(FORMS, (0.0, 0.3, 2.0, 7.0)))
    found = frame.select("i", *[reward_column(*parts, beta=beta, form=form) for form, beta in forms]).collect()
    for row in found:
        _, *values = cases[row[0]]
        assert list(row[1:]) == [reward(*values, beta=beta, form=form) for form, beta in forms]
