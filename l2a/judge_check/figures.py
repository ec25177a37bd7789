"""What a check finds: figures with 95 % intervals over dialogues, from NumPy alone.

A table is float64 (3, 3): human grade by judge's grade, in the order of LEVELS. Groups are dialogues: what belongs to
one is resampled together. Shares have the interval of the metrics (l2a.metrics.intervals); the weighted kappa, which
is no share, has the percentiles of its bootstrap. Same data, same figures: the bootstrap is seeded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l2a.metrics.intervals import effective, interval
from l2a.reward.grading import LEVELS

REPLICATES = 1000
Array = NDArray[np.float64]
_LEVELS = np.array(LEVELS)
_SQUARES = (_LEVELS[:, None] - _LEVELS[None, :]) ** 2


@dataclass(frozen=True)
class Finding:
    """One line of a check. `value` is None where nothing could be measured; `note` says what else is to be known."""

    check: str
    what: str
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int = 0
    n_dialogues: int = 0
    note: str = ""


def share(check: str, what: str, groups: Sequence[Sequence[bool]], note: str = "") -> Finding:
    """The share of true ones; a group is a dialogue's."""
    groups = [group for group in groups if group]
    sums = np.array([[sum(group), len(group)] for group in groups], dtype=float).reshape(-1, 2)
    return ratio(check, what, sums, int(sums[:, 1].sum()), note)


def ratio(check: str, what: str, sums: Array, n: int, note: str = "") -> Finding:
    """Sum of column 0 over sum of column 1, between 0 and 1; a row of `sums` (G, 2) is a dialogue's."""
    return _bounded(check, what, sums, lambda total: _over(total[..., 0], total[..., 1]), n, note, sums[:, 1])


def agreement(check: str, tables: Sequence[Array], n: int) -> list[Finding]:
    """Weighted kappa, F1 by level, mean squared error and share of equal grades, from a table per dialogue."""
    kept = [table for table in tables if table.sum() > 0]
    every = np.array(kept, dtype=float).reshape(-1, 9)

    def of(measure: Callable[[Array], Array]) -> Callable[[Array], Array]:
        return lambda total: measure(total.reshape(*total.shape[:-1], 3, 3))

    found = [_kappa_finding(check, every, n)]
    for i, level in enumerate(LEVELS):
        there = int(every.reshape(-1, 3, 3).sum(axis=0)[i].sum())
        name = f"F1 of grade {level:g}"
        found.append(_bounded(check, name, every, of(lambda t, i=i: f1(t, i)), n, f"{there} of the anchors"))  # type: ignore[misc]
    found.append(_bounded(check, "mean squared error", every, of(squared_error), n))
    found.append(_bounded(check, "share of equal grades", every, of(equal), n))
    return found


def weighted_kappa(table: Array) -> Array:
    """Cohen's kappa with quadratic weights (Cohen 1968) of tables (..., 3, 3); NaN where chance alone would agree."""
    n = table.sum(axis=(-2, -1))
    expected = table.sum(axis=-1)[..., :, None] * table.sum(axis=-2)[..., None, :]
    by_chance = _over((_SQUARES * expected).sum(axis=(-2, -1)), n)
    return 1.0 - _over((_SQUARES * table).sum(axis=(-2, -1)), by_chance)


def f1(table: Array, level: int) -> Array:
    """F1 of one level; NaN where neither side has it."""
    both = table[..., level, :].sum(axis=-1) + table[..., :, level].sum(axis=-1)
    return _over(2.0 * table[..., level, level], both)


def squared_error(table: Array) -> Array:
    """Mean squared difference of the two grades."""
    return _over((_SQUARES * table).sum(axis=(-2, -1)), table.sum(axis=(-2, -1)))


def equal(table: Array) -> Array:
    """Share of equal grades."""
    return _over(np.trace(table, axis1=-2, axis2=-1), table.sum(axis=(-2, -1)))


def _kappa_finding(check: str, every: Array, n: int) -> Finding:
    value, replicates = _measured(every, lambda total: weighted_kappa(total.reshape(*total.shape[:-1], 3, 3)))
    known = replicates[~np.isnan(replicates)]
    note = "" if len(every) >= 20 else "under 20 dialogues: read its interval as a hint"
    low, high = (float(x) for x in np.quantile(known, [0.025, 0.975])) if len(known) > 1 else (None, None)
    return Finding(check, "weighted kappa", value, low, high, n, len(every), note)


def _bounded(
    check: str,
    what: str,
    every: Array,
    measure: Callable[[Array], Array],
    n: int,
    note: str = "",
    weight: Array | None = None,
) -> Finding:
    value, replicates = _measured(every, measure)
    if value is None:
        return Finding(check, what, None, n=n, n_dialogues=len(every), note=note)
    weight = every.sum(axis=1) if weight is None else weight
    low, high = interval(value, replicates, len(every), effective(weight.sum(), (weight**2).sum()), 1.0)
    return Finding(check, what, value, low, high, n, len(every), note)


def _measured(every: Array, measure: Callable[[Array], Array]) -> tuple[float | None, Array]:
    """The figure over all dialogues, and over resampled ones."""
    count = len(every)
    if not count:
        return None, np.zeros(0)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1.0 / count), size=REPLICATES)
    value = float(measure(every.sum(axis=0)))
    return (None if np.isnan(value) else value), measure(drawn @ every)


def _over(a: Array, b: Array) -> Array:
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=np.asarray(b) > 0)
