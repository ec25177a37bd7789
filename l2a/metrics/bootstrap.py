"""The dialogue bootstrap on arrays: per-dialogue sums in, metrics with intervals out. Spark and simulations share it.

A `Tally` is what any part of the dialogues contributes; tallies of parts add up to the tally of the whole, exactly
(sums of halves are exact in float64), so how the data is split between machines does not show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from l2a.metrics.arrays import expression_arrays
from l2a.metrics.definitions import DENOMINATORS, METRICS, SUMS, UNGRADED, top
from l2a.metrics.intervals import effective, interval
from l2a.metrics.weights import poisson_weights

_BLOCK = 1024  # dialogues weighted at once: 1,000 replicates of them are 8 MB
COUNTED = tuple(dict.fromkeys(DENOMINATORS.values()))
"""The sums that count a metric's rollouts, each once: the columns of `Tally.dialogues`."""
_COUNTED_AT = [list(SUMS).index(name) for name in COUNTED]


@dataclass(slots=True)
class Tally:
    """sums: float64 (1 + replicates, len(SUMS)); row 0 is unweighted, the others are bootstrap replicates.
    dialogues: float64 (2, len(COUNTED)): for each of COUNTED, in how many dialogues it is not 0, and the sum of its
    squares over dialogues."""

    sums: np.ndarray
    dialogues: np.ndarray

    @classmethod
    def empty(cls, replicates: int) -> Tally:
        return cls(np.zeros((1 + replicates, len(SUMS))), np.zeros((2, len(COUNTED))))

    @property
    def replicates(self) -> int:
        return len(self.sums) - 1

    def add_dialogues(self, hashes: np.ndarray, sums: np.ndarray) -> None:
        """Adds dialogues. hashes: int64 (d,) of their session ids. sums: float64 (d, len(SUMS))."""
        for i in range(0, len(hashes), _BLOCK):
            block = sums[i : i + _BLOCK]
            self.sums[0] += block.sum(axis=0)
            self.sums[1:] += poisson_weights(hashes[i : i + _BLOCK], self.replicates).T @ block
            counted = block[:, _COUNTED_AT]
            self.dialogues += [(counted > 0).sum(axis=0), (counted * counted).sum(axis=0)]

    def add(self, other: Tally) -> None:
        self.sums += other.sums
        self.dialogues += other.dialogues


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of one group. value and interval are None where there is nothing to take the metric of.

    ungraded_share: of the group's rollouts, those without R_a; the same for all metrics of the group."""

    metric: str
    value: float | None
    n: int
    n_dialogues: int
    ci_low: float | None
    ci_high: float | None
    ungraded_share: float | None


def metrics_of(tally: Tally, beta: float) -> list[Metric]:
    """The seven metrics of a tally with their 95 % intervals."""
    arrays = expression_arrays({**METRICS, "ungraded": UNGRADED}, tally.sums, beta)
    ungraded = _known(arrays["ungraded"][0])
    found = []
    for name in METRICS:
        column = COUNTED.index(DENOMINATORS[name])
        n, (count, squares) = float(tally.sums[0, _COUNTED_AT[column]]), tally.dialogues[:, column]
        value, low, high = _known(arrays[name][0]), None, None
        if value is not None:
            low, high = interval(value, arrays[name][1:], int(count), effective(n, float(squares)), top(name, beta))
        found.append(Metric(name, value, int(n), int(count), low, high, ungraded))
    return found


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
