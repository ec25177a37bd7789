"""The grade of one rollout: what the objective, the utterance and the grader's judgement make together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from l2a.dialogue.types import Decision
from l2a.dialogue.utterance import Utterance
from l2a.judge.protocols import Judgement
from l2a.reward.values import DEFAULT_WEIGHTS, OmegaWeights, omega, r_a, r_s

LEVELS = (0.0, 0.5, 1.0)
"""What a grader may answer for R_a."""

NO_UTTERANCE = "the rollout failed: there is no utterance to grade"
NO_JUDGEMENT = "the grader gave no grade"
NO_LEVEL = "the grader's R_a is none of 0, 0.5, 1"
NO_ASKS = "the grader did not say whether anything is asked, and no question mark does"


@dataclass(frozen=True, slots=True)
class Grade:
    """One row of `grades`, less its key. A failed grade has an error; r_a and omega are None, r_s stays if known."""

    r_a: float | None
    r_s: float | None
    omega: float | None
    status: Literal["ok", "failed"]
    error: str | None = None


def needs_grader(target: Decision, utterance: Utterance | None) -> bool:
    """Whether a grader must be asked: only where CONTINUE is right, was said, and something else was said with it."""
    return utterance is not None and target == utterance.decision == "CONTINUE" and utterance.action is not None


def grade(
    target: Decision,
    utterance: Utterance | None,
    judgement: Judgement | None = None,
    weights: OmegaWeights = DEFAULT_WEIGHTS,
) -> Grade:
    """Grades one rollout of a turn whose objective decision is `target`.

    `utterance` is None for a failed rollout. `judgement` is looked at only where `needs_grader` says so.
    """
    if utterance is None:
        return Grade(None, None, None, "failed", NO_UTTERANCE)
    right = r_s(target, utterance.decision)
    judged, asks = None, None
    if needs_grader(target, utterance):
        error = _fault(judgement, utterance)
        if error is not None or judgement is None:
            return Grade(None, right, None, "failed", error)
        judged, asks = judgement.r_a, judgement.asks
    return Grade(r_a(target, utterance, judged), right, omega(target, utterance, asks, weights), "ok")


def _fault(judgement: Judgement | None, utterance: Utterance) -> str | None:
    if judgement is None:
        return NO_JUDGEMENT
    if judgement.error is not None:
        return judgement.error
    if judgement.r_a is None:
        return NO_JUDGEMENT
    if judgement.r_a not in LEVELS:
        return NO_LEVEL
    if judgement.asks is None and utterance.questions == 0:
        return NO_ASKS
    return None
