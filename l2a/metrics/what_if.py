"""What if the reward were another one? The mean reward of each condition under other definitions, without a new call.

Another beta or fusion is another expression over the same sums. Other Omega weights are put on the same answers: what a
grader said of a question can be read off its grade, so nobody is asked again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from l2a.errors import UsageError
from l2a.metrics.arrays import expression_arrays
from l2a.metrics.definitions import MEAN_REWARD, SUMS
from l2a.reward.values import DEFAULT_WEIGHTS, OmegaWeights

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Fusion = Literal["product", "sum"]
Means = dict[str, float | None]
"""condition -> its mean reward; None: it has no graded rollouts."""

BETAS = (0.0, 0.5, 1.0, 2.0, 4.0)
OTHER_WEIGHTS = (
    OmegaWeights(two_questions=0.0),
    OmegaWeights(two_questions=1.0, more_questions=0.5),
    OmegaWeights(mixed_stop=0.5),
    OmegaWeights(one_question=0.0, two_questions=0.0, exact_stop=0.0),
)
"""What a team is likely to argue about: is asking twice a fault, is a good-bye beside the stop one, does form count."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One definition of the reward. beta is of no meaning for the sum."""

    beta: float = 2.0
    fusion: Fusion = "product"
    weights: OmegaWeights = DEFAULT_WEIGHTS

    def __str__(self) -> str:
        shape = "sum R_s + R_a + Omega" if self.fusion == "sum" else f"beta {self.beta:g}"
        other = [
            f"{field.name} {getattr(self.weights, field.name):g}"
            for field in dataclasses.fields(OmegaWeights)
            if getattr(self.weights, field.name) != getattr(DEFAULT_WEIGHTS, field.name)
        ]
        return ", ".join([shape, *other])


def variants(
    reference: float, betas: Sequence[float], *, fusion: bool, weights: Sequence[OmegaWeights]
) -> list[Variant]:
    """The method's reward with beta `reference` first, then the others, each once."""
    found = [Variant(reference), *[Variant(beta) for beta in betas]]
    found += [Variant(reference, "sum")] if fusion else []
    found += [Variant(reference, weights=each) for each in weights]
    return list(dict.fromkeys(found))


def parse_weights(text: str) -> OmegaWeights:
    """Omega weights from "two_questions=0,mixed_stop=.5"; what is not named keeps its value.

    Raises UsageError for a name that is none, and for a weight outside [0, 1].
    """
    names = [field.name for field in dataclasses.fields(OmegaWeights)]
    given: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        if name not in names:
            raise UsageError(f"--omega {text}: {name or 'nothing'} is no Omega weight; there are: {', '.join(names)}")
        try:
            given[name] = float(number)
        except ValueError:
            raise UsageError(f"--omega {text}: {number or 'nothing'} is no number") from None
        if not 0 <= given[name] <= 1:
            raise UsageError(f"--omega {text}: {name} must lie in 0 to 1")
    return OmegaWeights(**given)


def sums_under(grades: DataFrame, weights: Sequence[OmegaWeights]) -> DataFrame:
    """weights_number, condition and SUMS, with Omega as each of `weights` would have it.

    grades: as `evaluate` takes them, with the condition and the answer's text. The method's own weights take Omega as
    it is stored. Where no question mark stands, only the grader knew whether something is asked: that is what an Omega
    of `one_question` says there.
    """
    from pyspark.sql import functions as F

    from l2a.metrics.evaluate import sums
    from l2a.reward.columns import grade_column

    asks = F.col("omega") == DEFAULT_WEIGHTS.one_question
    nothing = F.lit(None).cast("string")
    again = [
        F.col("omega")
        if each == DEFAULT_WEIGHTS
        else grade_column(F.col("target"), F.col("text"), F.col("r_a"), asks, nothing, each)["omega"]
        for each in weights
    ]
    laid_out = grades.select(
        "condition", "target", "decision", "r_a", F.posexplode(F.array(*again)).alias("weights_number", "omega")
    )
    return sums(laid_out, ["weights_number", "condition"])


def mean_rewards(grades: DataFrame, wanted: Sequence[Variant]) -> list[Means]:
    """For each variant the mean reward of each condition; ungraded answers count as TR counts them.

    grades: as `sums_under` takes them.
    """
    weights = list(dict.fromkeys(variant.weights for variant in wanted))
    rows = sums_under(grades, weights).orderBy("weights_number", "condition").collect()
    found: list[Means] = []
    for variant in wanted:
        mine = [row for row in rows if row["weights_number"] == weights.index(variant.weights)]
        array = np.array([[float(row[name]) for name in SUMS] for row in mine]).reshape(len(mine), len(SUMS))
        means = expression_arrays({"mean": MEAN_REWARD[variant.fusion]}, array, variant.beta)["mean"]
        found.append(
            {row["condition"]: None if np.isnan(mean) else float(mean) for row, mean in zip(mine, means, strict=True)}
        )
    return found
