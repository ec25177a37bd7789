"""95 % intervals of a metric from its bootstrap replicates, right from 20 dialogues up and near 0 and 1.

The rule, one for all metrics. The standard error is the dialogue bootstrap's, times the square root of K / (K - 1),
where K is the effective number of dialogues (Kish 1965: as many equal ones as the unequal ones are worth). A metric
lies between 0 and its largest value; as a share of that it has the Wilson interval (Wilson 1927; with the effective
size of a clustered sample, Korn and Graubard 1998) of as many independent observations as would have that standard
error, with Student's t for the number of dialogues less one in the place of 1.96.

Why not the replicates' own percentiles: simulated with 20 to 200 unequal dialogues and shares of .93 and .98 they cover
63 to 95 %, and where all values are equal they have no width at all (`coverage` measures what stands here). With many
dialogues and a metric away from its ends the two agree.

Near the ends the standard error itself is a guess, made from the few dialogues that differ; there the number of
independent observations is drawn towards K (in the limit, all values equal, it is K). One dialogue tells nothing: its
interval is the whole range.

Measured over the 135 cases of `coverage` (3 metrics each, 400 repetitions): 363 of the 405 coverages lie in 92 to 98 %,
all in 89.8 to 99.5 %. Above 98 are mostly 20 dialogues with a share near 0 or 1; below 92 are mostly 200 dialogues of
which a few outweigh the rest.
"""

from __future__ import annotations

import numpy as np

# Student's t, two-sided 95 %, at these degrees of freedom; close to a straight line in 1 / degrees between them.
_DEGREES = np.array([1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 60, np.inf])
_T_975 = np.array([12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.306, 2.228, 2.179, 2.131, 2.086, 2.042, 2.000, 1.960])

_PULL = 0.2
"""How many observed rare outcomes weigh as much as the pull towards K. Chosen by simulation: with 0, a share of .98 is
covered 88 % where the turns of a dialogue are much alike; with 1, a share of .93 is 99.5 % where they are not."""


def t_quantile(degrees: float) -> float:
    """The 97.5 % quantile of Student's t at any real number of degrees of freedom >= 1, within 3 %."""
    return float(np.interp(1.0 / degrees, 1.0 / _DEGREES[::-1], _T_975[::-1]))


def interval(
    value: float, replicates: np.ndarray, dialogues: int, effective_dialogues: float, top: float
) -> tuple[float, float]:
    """(low, high) within [0, top].

    value: the metric. replicates: float64 (R,), its bootstrap values, NaN where a replicate has none. dialogues: how
    many the metric was taken over; effective_dialogues: what they are worth (`effective`). top: the metric's maximum.
    """
    known = replicates[~np.isnan(replicates)]
    if dialogues < 2 or len(known) < 2:
        return 0.0, top
    share = min(max(value / top, 0.0), 1.0)
    spread = share * (1.0 - share)
    variance = float(np.var(known / top, ddof=1)) * effective_dialogues / (effective_dialogues - 1.0)
    n = _observations(share, variance, effective_dialogues)
    t2 = t_quantile(dialogues - 1.0) ** 2
    centre = (share + t2 / (2 * n)) / (1 + t2 / n)
    half = (t2 * (spread / n + t2 / (4 * n * n))) ** 0.5 / (1 + t2 / n)
    # Rounding must not put the value itself outside.
    return top * max(0.0, min(centre - half, share)), top * min(1.0, max(centre + half, share))


def difference_interval(
    value: float,
    ends: tuple[float, float],
    other: float,
    other_ends: tuple[float, float],
    replicates: np.ndarray,
    other_replicates: np.ndarray,
) -> tuple[float, float]:
    """(low, high) of value - other, from the interval of each and how they move together.

    The method of variance estimates recovery (Zou and Donner 2008; for paired shares, Newcombe 1998): the distance from
    a value to its end takes the place of 1.96 standard errors, so that the difference is as careful near 0 and 1, with
    few dialogues and with equal values as the single intervals are. replicates: float64 (R,) of both, in the same
    bootstrap weights; their correlation is what makes a paired difference sharper than two intervals.
    """
    known = ~(np.isnan(replicates) | np.isnan(other_replicates))
    a, b = replicates[known], other_replicates[known]
    alike = 0.0
    if len(a) > 1 and a.std() > 1e-12 and b.std() > 1e-12:
        alike = min(max(float(np.corrcoef(a, b)[0, 1]), -1.0), 1.0)

    def reach(towards: float, away: float) -> float:
        return max(towards * towards + away * away - 2.0 * alike * towards * away, 0.0) ** 0.5

    below = reach(value - ends[0], other_ends[1] - other)
    above = reach(ends[1] - value, other - other_ends[0])
    return value - other - below, value - other + above


def _observations(share: float, variance: float, effective_dialogues: float) -> float:
    """How many independent observations the metric is worth."""
    spread = share * (1.0 - share)
    if spread <= 0.0 or variance <= 1e-15:
        return effective_dialogues
    n = spread / variance
    pull = _PULL / (_PULL + n * min(share, 1.0 - share))
    return 1.0 / ((1.0 - pull) / n + pull / effective_dialogues)


def effective(total: float, squares: float) -> float:
    """Kish's effective number of dialogues: total = sum of x, squares = sum of x * x, x = a dialogue's rollouts."""
    return total * total / squares if squares > 0 else 0.0
