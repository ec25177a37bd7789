"""What-ifs: the mean reward is the reward's own, whatever its definition, and a changed order is named."""

from __future__ import annotations

import numpy as np
import pytest

from l2a.dialogue.utterance import parse
from l2a.errors import UsageError
from l2a.judge.protocols import Judgement
from l2a.metrics.ranking import ranking, swaps
from l2a.metrics.what_if import BETAS, OTHER_WEIGHTS, Variant, mean_rewards, parse_weights, variants
from l2a.reward import OmegaWeights, grade, reward

TEXTS = ["<stop />", "Bye. <stop />", "", "Age?", "Age? Sex?", "A? B? C?", "Tell me.", "说说看。"]


def test_mean_rewards_are_those_of_the_reward_with_the_grader_asked_once(spark) -> None:  # type: ignore[no-untyped-def]
    """Under every variant, stored grades give the mean over rows of `l2a.reward` with the judgement at hand."""
    rng = np.random.default_rng(8)
    wanted = variants(2.0, [*BETAS, 3.5], fusion=True, weights=[*OTHER_WEIGHTS, OmegaWeights(no_question=0.3)])
    rows, expected = [], {str(variant): {"a": [], "b": []} for variant in wanted}
    for i in range(400):
        condition, target = "ab"[i % 2], "STOP" if rng.random() < 0.3 else "CONTINUE"
        text, judgement = str(rng.choice(TEXTS)), Judgement(float(rng.choice([0, 0.5, 1])), bool(rng.random() < 0.5))
        utterance = parse(text)
        stored = grade(target, utterance, judgement)
        rows.append((condition, target, utterance.decision, text, stored.r_a, stored.omega))
        for variant in wanted:
            r = grade(target, utterance, judgement, variant.weights)
            expected[str(variant)][condition].append(
                reward(r.r_a, r.r_s, r.omega, beta=variant.beta, form=variant.fusion)
            )
    grades = spark.createDataFrame(
        rows, "condition string, target string, decision string, text string, r_a double, omega double"
    )
    found = mean_rewards(grades, wanted)
    assert len(wanted) == 1 + 5 + 1 + 5
    for variant, means in zip(wanted, found, strict=True):
        assert means == {name: pytest.approx(np.mean(r), abs=1e-9) for name, r in expected[str(variant)].items()}


def test_ungraded_answers_count_as_tr_counts_them(spark) -> None:  # type: ignore[no-untyped-def]
    rows = [("a", "CONTINUE", "CONTINUE", "Age?", 0.5, 1.0), ("a", "CONTINUE", "CONTINUE", "Sex?", None, None)]
    rows += [("a", "STOP", None, None, None, None), ("b", "CONTINUE", "CONTINUE", "Age?", None, None)]
    grades = spark.createDataFrame(
        rows, "condition string, target string, decision string, text string, r_a double, omega double"
    )
    wanted = variants(2.0, [], fusion=True, weights=[OmegaWeights(one_question=0.5)])
    assert mean_rewards(grades, wanted) == [{"a": 3.0, "b": None}, {"a": 2.5, "b": None}, {"a": 2.5, "b": None}]


def test_the_reference_comes_first_and_each_variant_once() -> None:
    wanted = variants(2.0, [0.0, 2.0, 4.0], fusion=True, weights=[OmegaWeights(), OmegaWeights(mixed_stop=0.5)])
    assert [str(variant) for variant in wanted] == [
        "beta 2", "beta 0", "beta 4", "sum R_s + R_a + Omega", "beta 2, mixed_stop 0.5"
    ]  # fmt: skip


def test_swapped_pairs_are_named_and_ties_swap_nothing() -> None:
    reference = {"a": 3.0, "b": 2.0, "c": 1.0, "d": None}
    assert ranking({"d": None, "c": 1.0, "b": 2.0, "x": 2.0}) == ["b", "x", "c", "d"]
    assert swaps(reference, {"a": 9.0, "b": 8.0, "c": 7.0, "d": None}) == []
    assert swaps(reference, {"a": 2.0, "b": 2.0, "c": 2.0, "d": 5.0}) == []
    assert swaps(reference, {"a": 2.0, "b": 3.0, "c": 2.5, "d": None}) == [("b", "a"), ("c", "a")]


def test_weights_are_read_and_mistakes_named() -> None:
    assert parse_weights("two_questions=0, mixed_stop=.5") == OmegaWeights(two_questions=0.0, mixed_stop=0.5)
    for text, wrong in {
        "two=0": "two is no Omega weight", "": "nothing is no Omega weight", "mixed_stop=x": "x is no number",
        "mixed_stop": "nothing is no number", "mixed_stop=2": "0 to 1", "mixed_stop=nan": "0 to 1",
    }.items():  # fmt: skip
        with pytest.raises(UsageError, match=wrong):
            parse_weights(text)


def test_variants_say_what_they_are() -> None:
    assert str(Variant(0.5)) == "beta 0.5"
