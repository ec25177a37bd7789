"""Paired differences: they hold the truth, call nothing that is not there, and nothing at all on few dialogues."""

from __future__ import annotations

import numpy as np
import pytest

from l2a.metrics import METRIC_NAMES, SUMS
from l2a.metrics.bootstrap import COUNTED, Tally
from l2a.metrics.coverage import Case, covered_difference
from l2a.metrics.intervals import difference_interval
from l2a.metrics.paired import Difference, differences


def pair(mine: np.ndarray, theirs: np.ndarray, rollouts: int = 10) -> dict[str, Difference]:
    """Conditions of which each dialogue has so many right answers of `rollouts` on CONTINUE turns, all graded 1."""
    hashes, sides = np.arange(len(mine)), []
    for right in (mine, theirs):
        drawn = {name: np.full(len(right), rollouts) for name in ("n_rollouts", "n", "n_continue")}
        drawn |= dict.fromkeys(("n_continue_right", "n_continue_graded", "sum_r_a", "n_good_hit"), right)
        tally = Tally.empty(300)
        tally.add_dialogues(hashes, np.column_stack([drawn.get(n, np.zeros(len(right))) for n in SUMS]).astype(float))
        sides.append(tally)
    found = differences(sides[0], sides[1], np.full(len(COUNTED), len(mine)), beta=2.0)
    return {each.metric: each for each in found}


@pytest.mark.parametrize(
    ("case", "other"),
    [(Case(20, 0.5), 0.5), (Case(20, 0.93, 0.3), 0.93), (Case(50, 0.98), 0.9), (Case(50, 0.5, 0.3, "pareto"), 0.6)],
)
def test_intervals_of_differences_hold_the_truth(case: Case, other: float) -> None:
    held, called = covered_difference(case, other, repetitions=150, replicates=200)
    assert 0.89 <= held <= 1.0
    if other == case.share:
        assert called == pytest.approx(1 - held), "what is called is wrong here, and as rare as a missed truth"


def test_a_pair_is_sharper_than_two_intervals() -> None:
    rng = np.random.default_rng(2)
    easy = rng.binomial(10, rng.beta(2, 2, 80))
    found = pair(np.minimum(easy + 1, 10), easy)["WC"]
    assert found.called == "higher"
    assert found.difference is not None and found.ci_low is not None and found.ci_high is not None
    assert found.ci_low < found.difference < found.ci_high
    apart = pair(np.minimum(easy + 1, 10), rng.permutation(easy))["WC"]  # the same numbers, on other dialogues
    assert apart.ci_low is not None and apart.ci_high is not None
    assert apart.ci_high - apart.ci_low > 3 * (found.ci_high - found.ci_low)


def test_turned_round_a_difference_changes_its_sign() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.binomial(10, 0.9, 40), rng.binomial(10, 0.4, 40)
    there, back = pair(a, b), pair(b, a)
    for name in ("WC", "AA", "TR"):
        one, other = there[name], back[name]
        assert (one.called, other.called) == ("higher", "lower")
        assert (one.difference, one.ci_low, one.ci_high) == pytest.approx(
            tuple(-x for x in (other.difference, other.ci_high, other.ci_low) if x is not None)
        )


def test_the_same_answers_are_no_difference() -> None:
    same = np.random.default_rng(4).binomial(10, 0.8, 60)
    for name, found in pair(same, same).items():
        assert found.called == "no difference called"
        if name != "WS":
            assert found.difference == 0


def test_equal_values_everywhere_still_leave_a_width() -> None:
    found = pair(np.full(30, 10), np.full(30, 10))["WC"]
    assert found.ci_low is not None and found.ci_high is not None
    assert found.ci_low < -0.05 and found.ci_high > 0.05
    assert pair(np.full(30, 10), np.full(30, 0))["WC"].called == "higher"


@pytest.mark.parametrize(("dialogues", "called"), [(19, "no difference called"), (20, "higher")])
def test_under_twenty_dialogues_nothing_is_called(dialogues: int, called: str) -> None:
    assert pair(np.full(dialogues, 10), np.full(dialogues, 1))["WC"].called == called


def test_what_one_side_has_nothing_of_is_null() -> None:
    found = pair(np.full(30, 10), np.full(30, 10))
    assert list(found) == list(METRIC_NAMES)
    assert (found["WS"].difference, found["WS"].ci_low, found["WS"].called) == (None, None, "no difference called")


def test_the_interval_of_a_difference_is_as_wide_as_its_replicates_where_there_is_much_data() -> None:
    rng = np.random.default_rng(5)
    common = rng.normal(0, 0.03, 50_000)
    a, b = 0.6 + common + rng.normal(0, 0.01, 50_000), 0.5 + common + rng.normal(0, 0.01, 50_000)
    ends = [(float(x.mean() - 1.96 * x.std()), float(x.mean() + 1.96 * x.std())) for x in (a, b)]
    found = difference_interval(0.6, ends[0], 0.5, ends[1], a, b)
    np.testing.assert_allclose(found, np.quantile(a - b, [0.025, 0.975]), atol=0.001)
