"""Do the intervals tell the truth? Dialogues are made up with a known share, and intervals that hold it are counted.

    python -m l2a.metrics.coverage            1,000 repetitions of every case: about 20 minutes on one core
    python -m l2a.metrics.coverage 100        fewer

A case is a number of dialogues, how unequal they are, the true share, and how alike the turns of a dialogue are
(beta-binomial; correlation of two turns of one dialogue). WC and WA-GH stand for the shares, WA for the means.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Literal

import numpy as np

from l2a.metrics.bootstrap import COUNTED, Tally, metrics_of
from l2a.metrics.definitions import SUMS
from l2a.metrics.paired import differences

Sizes = Literal["equal", "lognormal", "pareto"]


@dataclass(frozen=True, slots=True)
class Case:
    dialogues: int
    share: float
    alike: float = 0.1
    sizes: Sizes = "lognormal"


_SIZES: tuple[Sizes, ...] = ("equal", "lognormal", "pareto")
CASES = [
    Case(dialogues, share, alike, kind)
    for dialogues, share, alike, kind in product((20, 50, 200), (0.02, 0.07, 0.5, 0.93, 0.98), (0.02, 0.1, 0.3), _SIZES)
]


def sizes(kind: Sizes, dialogues: int, rng: np.random.Generator) -> np.ndarray:
    """Rollouts per dialogue, int64 (dialogues,): 10 each; a few long ones; or some that outweigh all others (at most
    200)."""
    if kind == "equal":
        return np.full(dialogues, 10)
    drawn = rng.lognormal(1.5, 1.0, dialogues) if kind == "lognormal" else 3 * rng.pareto(1.5, dialogues)
    return np.clip(np.ceil(drawn), 1, 200).astype(np.int64)


def covered(case: Case, repetitions: int, seed: int = 0, replicates: int = 1000) -> dict[str, float]:
    """Share of repetitions whose interval holds the truth: of WC, WA-GH (shares) and WA (a mean of 0, .5 and 1)."""
    rng = np.random.default_rng(seed)
    # R_a is 1 at the share; the rest is half 0.5, half 0.
    truth = {"WC": case.share, "WA-GH": case.share, "WA": case.share + 0.25 * (1 - case.share)}
    hits = dict.fromkeys(truth, 0)
    for _ in range(repetitions):
        tally = Tally.empty(replicates)
        tally.add_dialogues(rng.integers(0, 1 << 62, case.dialogues), _dialogue_sums(case, rng))
        for found in metrics_of(tally, beta=2.0):
            if found.metric in hits and found.ci_low is not None and found.ci_high is not None:
                hits[found.metric] += found.ci_low <= truth[found.metric] <= found.ci_high
    return {name: count / repetitions for name, count in hits.items()}


def covered_difference(
    case: Case, other_share: float, repetitions: int, seed: int = 0, replicates: int = 1000
) -> tuple[float, float]:
    """Of paired differences in WC between the case's share and `other_share` on the same dialogues: the share of
    repetitions whose interval holds the truth, and the share that calls a difference. A dialogue that is easy for one
    is easy for the other."""
    rng = np.random.default_rng(seed)
    hits = calls = 0
    for _ in range(repetitions):
        hashes, n = rng.integers(0, 1 << 62, case.dialogues), sizes(case.sizes, case.dialogues, rng)
        easy = rng.random(case.dialogues)
        sides = []
        for share in (case.share, other_share):
            sides.append(Tally.empty(replicates))
            sides[-1].add_dialogues(hashes, _dialogue_sums(replace(case, share=share), rng, n, easy))
        in_common = np.full(len(COUNTED), case.dialogues)
        found = {each.metric: each for each in differences(sides[0], sides[1], in_common, beta=2.0)}["WC"]
        assert found.ci_low is not None and found.ci_high is not None
        hits += found.ci_low <= case.share - other_share <= found.ci_high
        calls += found.called != "no difference called"
    return hits / repetitions, calls / repetitions


def _dialogue_sums(
    case: Case, rng: np.random.Generator, n: np.ndarray | None = None, easy: np.ndarray | None = None
) -> np.ndarray:
    """float64 (dialogues, len(SUMS)). All turns are CONTINUE turns, and R_a is drawn over all of them too, so that each
    metric has the sizes that the case asks for. n: rollouts per dialogue. easy: float64 (dialogues,), the quantile of
    each dialogue's own share."""
    n = sizes(case.sizes, case.dialogues, rng) if n is None else n
    a, b = (float(share * (1 - case.alike) / case.alike) for share in (case.share, 1 - case.share))
    shares = rng.beta(a, b, (2, case.dialogues)) if easy is None else [np.quantile(_beta_draws(a, b), easy)] * 2
    right, good = (rng.binomial(n, each) for each in shares)
    drawn = {
        **dict.fromkeys(("n_rollouts", "n", "n_continue", "n_continue_graded"), n),
        "n_continue_right": right,
        "n_good_hit": good,
        "sum_r_a": good + 0.5 * rng.binomial(n - good, 0.5),
    }
    return np.column_stack([drawn.get(name, np.zeros(case.dialogues)) for name in SUMS]).astype(np.float64)


@cache
def _beta_draws(a: float, b: float) -> np.ndarray:
    """float64 (20000,): quantiles of these are those of the distribution, closely enough."""
    return np.random.default_rng(0).beta(a, b, 20_000)


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for case in CASES:
        shares = "  ".join(f"{name} {100 * share:5.1f} %" for name, share in covered(case, repetitions).items())
        print(
            f"{case.dialogues:4d} {case.sizes:9s} share {case.share:.2f} alike {case.alike:.2f}   {shares}", flush=True
        )


if __name__ == "__main__":
    main()
