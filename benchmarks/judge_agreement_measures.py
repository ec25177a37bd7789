"""Agreement with people's labels, each measure with its counts and a 95 % interval by resampling dialogues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from l2a.judge.embedded.text import words

REPLICATES = 1000


@dataclass(frozen=True)
class Measured:
    """A figure, its interval, and what it was counted over."""

    value: float
    low: float
    high: float
    n: int
    positives: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n {self.n}, {self.positives} positive)"


def token_f1(one: str, other: str) -> float:
    """F1 of the words of two texts, as bags."""
    a, b = Counter(w for w, _, _ in words(one)), Counter(w for w, _, _ in words(other))
    return 2 * (a & b).total() / max(a.total() + b.total(), 1)


def resample(groups: Sequence[np.ndarray], measure: Callable[[np.ndarray], float], positives: int) -> Measured:
    """`groups`: per dialogue an array of rows; `measure` maps stacked rows to a figure. Rows are what n counts."""
    kept = [g for g in groups if len(g)]
    chance = np.random.default_rng(0)
    draws = []
    for _ in range(REPLICATES):
        picked = chance.integers(0, len(kept), len(kept))
        draws.append(measure(np.concatenate([kept[i] for i in picked])))
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    rows = np.concatenate(kept)
    return Measured(measure(rows), float(low), float(high), len(rows), positives)


def f1(rows: np.ndarray) -> float:
    """Rows (truth, answer), each 0 or 1."""
    hit = float((rows[:, 0] * rows[:, 1]).sum())
    return 2 * hit / max(float(rows.sum()), 1e-9)


def precision(rows: np.ndarray) -> float:
    """Rows (truth, answer): share of the answers that are true."""
    return float((rows[:, 0] * rows[:, 1]).sum()) / max(float(rows[:, 1].sum()), 1e-9)


def recall(rows: np.ndarray) -> float:
    """Rows (truth, answer): share of the truths that are answered."""
    return float((rows[:, 0] * rows[:, 1]).sum()) / max(float(rows[:, 0].sum()), 1e-9)


def fact_f(rows: np.ndarray) -> float:
    """Rows (is a gold fact, hit): the harmonic mean of the hit share of gold facts and that of extracted facts."""
    gold, mine = rows[rows[:, 0] == 1, 1], rows[rows[:, 0] == 0, 1]
    r, p = (float(x.mean()) if len(x) else 0.0 for x in (gold, mine))
    return 2 * p * r / (p + r) if p + r else 0.0


def kappa(rows: np.ndarray) -> float:
    """Cohen's kappa of rows (truth, answer)."""
    truth, answer = rows[:, 0], rows[:, 1]
    agree = float((truth == answer).mean())
    chance = float(truth.mean() * answer.mean() + (1 - truth.mean()) * (1 - answer.mean()))
    return (agree - chance) / (1 - chance) if chance < 1 else float("nan")


def auc(rows: np.ndarray) -> float:
    """Area under the ROC curve of rows (truth, score); ties count one half."""
    from scipy.stats import rankdata  # type: ignore[import-untyped,unused-ignore]

    truth = rows[:, 0] == 1
    positive, negative = int(truth.sum()), int((~truth).sum())
    if not positive or not negative:
        return float("nan")
    ranks = rankdata(rows[:, 1])
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))
