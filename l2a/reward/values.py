"""R_a, R_s, Omega and R as numbers (arXiv 2510.25441, section 4.2).

    R = R_s * (1 + beta * R_a) + Omega        beta = 2, so R lies in [0, 4]

None means "not known" and stays None: a failed grade never turns into 0, which would punish the policy for its judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from l2a.dialogue.types import Decision
from l2a.dialogue.utterance import Utterance

Form = Literal["product", "sum", "without_r_a", "without_r_s"]
"""How the parts make R: the method's product, and its ablations. The metric TR is always the product."""

FORMS: tuple[Form, ...] = get_args(Form)

PACKED_R_A = 0.5
"""R_a of an utterance with two or more questions is at most this: asking everything at once is no precise question."""


@dataclass(frozen=True, slots=True)
class OmegaWeights:
    """What each form of a right answer is worth. The defaults are the method's; what-ifs vary them."""

    one_question: float = 1.0
    two_questions: float = 0.5
    more_questions: float = 0.0
    no_question: float = 0.0
    exact_stop: float = 1.0
    mixed_stop: float = 0.0
    """STOP said beside other text."""


DEFAULT_WEIGHTS = OmegaWeights()


def r_s(target: Decision, decision: Decision | None) -> float | None:
    """1 if the policy's decision is the objective one, else 0; None for a failed rollout, which decided nothing."""
    return None if decision is None else float(decision == target)


def r_a(target: Decision, utterance: Utterance, judged: float | None) -> float | None:
    """R_a in {0, 0.5, 1}. `judged` is the grader's level; it is asked for only at a right, non-empty CONTINUE.

    A wrong decision has 0, a right STOP 1, an empty utterance 0, two or more questions at most 0.5.
    """
    if utterance.decision != target:
        return 0.0
    if target == "STOP":
        return 1.0
    if utterance.action is None:
        return 0.0
    if judged is None:
        return None
    return min(judged, PACKED_R_A) if utterance.questions >= 2 else judged


def omega(
    target: Decision, utterance: Utterance, asks: bool | None, weights: OmegaWeights = DEFAULT_WEIGHTS
) -> float | None:
    """The format term. A wrong decision has 0. `asks`, the grader's word, counts only where no question mark stands."""
    if utterance.decision != target:
        return 0.0
    if target == "STOP":
        return weights.exact_stop if utterance.exact_stop else weights.mixed_stop
    if utterance.questions == 0:
        if utterance.action is None:
            return weights.no_question
        if asks is None:
            return None
        return weights.one_question if asks else weights.no_question
    if utterance.questions == 1:
        return weights.one_question
    return weights.two_questions if utterance.questions == 2 else weights.more_questions


def reward(
    r_a: float | None, r_s: float | None, omega: float | None, *, beta: float = 2.0, form: Form = "product"
) -> float | None:
    """R of one rollout; None if a part that its form uses is None.

    product: r_s * (1 + beta * r_a) + omega. sum: r_s + r_a + omega. without_r_a: (1 + beta) * r_s + omega, so that the
    ablation keeps the scale. without_r_s: beta * r_a + omega, for training on CONTINUE turns only.
    Raises ValueError for an unknown form.
    """
    if form not in FORMS:
        raise ValueError(f"unknown reward form {form!r}: one of {', '.join(FORMS)}")
    if omega is None or (r_a is None and form != "without_r_a") or (r_s is None and form != "without_r_s"):
        return None
    a, s = r_a or 0.0, r_s or 0.0  # what is still None here is not used by the form
    if form == "product":
        return s * (1 + beta * a) + omega
    if form == "sum":
        return s + a + omega
    if form == "without_r_a":
        return (1 + beta) * s + omega
    return beta * a + omega
