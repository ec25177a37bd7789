"""Paired differences on arrays: what one condition's metrics are above another's, on the same dialogues and turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from l2a.metrics.arrays import metric_arrays
from l2a.metrics.bootstrap import COUNTED, Metric, Tally, metrics_of
from l2a.metrics.definitions import DENOMINATORS, METRICS
from l2a.metrics.intervals import difference_interval

Called = Literal["higher", "lower", "no difference called"]

ENOUGH_DIALOGUES = 20
"""With fewer dialogues in common nothing is called: the intervals are measured from here up."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of a condition beside a baseline's. What cannot be known is None; n_dialogues: the metrics of both
    stand on these."""

    metric: str
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    n_dialogues: int
    called: Called
    value: float | None
    baseline_value: float | None


def differences(condition: Tally, baseline: Tally, in_common: np.ndarray, beta: float) -> list[Difference]:
    """The seven differences with their 95 % intervals.

    The tallies stand on the same dialogues, turns and weights. in_common: int (len(COUNTED),): for each of COUNTED, in
    how many dialogues it is not 0 for both.
    """
    mine, theirs = metric_arrays(condition.sums, beta), metric_arrays(baseline.sums, beta)
    found = []
    for one, other in zip(metrics_of(condition, beta), metrics_of(baseline, beta), strict=True):
        dialogues = int(in_common[COUNTED.index(DENOMINATORS[one.metric])])
        found.append(_difference(one, other, mine[one.metric][1:], theirs[one.metric][1:], dialogues))
    assert [each.metric for each in found] == list(METRICS)
    return found


def _difference(one: Metric, other: Metric, mine: np.ndarray, theirs: np.ndarray, dialogues: int) -> Difference:
    if one.value is None or other.value is None or one.ci_low is None or other.ci_low is None:
        return Difference(one.metric, None, None, None, dialogues, "no difference called", one.value, other.value)
    assert one.ci_high is not None and other.ci_high is not None
    low, high = difference_interval(
        one.value, (one.ci_low, one.ci_high), other.value, (other.ci_low, other.ci_high), mine, theirs
    )
    called: Called = "no difference called"
    if dialogues >= ENOUGH_DIALOGUES and low > 0:
        called = "higher"
    elif dialogues >= ENOUGH_DIALOGUES and high < 0:
        called = "lower"
    return Difference(one.metric, one.value - other.value, low, high, dialogues, called, one.value, other.value)
