"""The reward and the grade (`l2a.reward`) as Spark columns: built-in functions only, no Python worker.

A property test holds these and the numbers together over all inputs.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from l2a.dialogue.utterance_columns import action_column, decision_column, exact_stop_column, questions_column
from l2a.reward.grading import LEVELS, NO_ASKS, NO_JUDGEMENT, NO_LEVEL, NO_UTTERANCE
from l2a.reward.values import DEFAULT_WEIGHTS, FORMS, PACKED_R_A, Form, OmegaWeights


def needs_grader_column(target: Column, text: Column) -> Column:
    """boolean, never null: whether a grader must be asked about this rollout (`grading.needs_grader`)."""
    asked = (target == "CONTINUE") & (decision_column(text) == "CONTINUE") & action_column(text).isNotNull()
    return F.coalesce(asked, F.lit(False))


def grade_column(
    target: Column,
    text: Column,
    judged_r_a: Column,
    judged_asks: Column,
    judged_error: Column,
    weights: OmegaWeights = DEFAULT_WEIGHTS,
) -> Column:
    """struct<r_a double, r_s double, omega double, status string, error string>: `grading.grade` of one rollout.

    target: the objective decision. text: the policy's utterance, null for a failed rollout. judged_*: the grader's
    answer (double, boolean, string); all three null where none came. Select `.*` of it for the columns of `grades`.
    """
    decision, questions = decision_column(text), questions_column(text)
    right, said = decision == target, action_column(text).isNotNull()
    asked = needs_grader_column(target, text)
    error = F.when(text.isNull(), NO_UTTERANCE).when(
        asked,
        F.when(judged_error.isNotNull(), judged_error)
        .when(judged_r_a.isNull(), NO_JUDGEMENT)
        .when(~judged_r_a.isin(*LEVELS), NO_LEVEL)
        .when(judged_asks.isNull() & (questions == 0), NO_ASKS),
    )
    level = F.when(questions >= 2, F.least(judged_r_a, F.lit(PACKED_R_A))).otherwise(judged_r_a)
    r_a = F.when(~right, 0.0).when(target == "STOP", 1.0).when(~said, 0.0).otherwise(level)
    form = (
        F.when(~right, 0.0)
        .when(target == "STOP", F.when(exact_stop_column(text), weights.exact_stop).otherwise(weights.mixed_stop))
        .when(questions > 2, weights.more_questions)
        .when(questions == 2, weights.two_questions)
        .when((questions == 1) | (said & judged_asks), weights.one_question)
        .otherwise(weights.no_question)
    )
    ok = error.isNull()
    return F.struct(
        F.when(ok, r_a.cast("double")).alias("r_a"),
        F.when(text.isNotNull(), right.cast("double")).alias("r_s"),
        F.when(ok, form.cast("double")).alias("omega"),
        F.when(ok, "ok").otherwise("failed").alias("status"),
        error.alias("error"),
    )


def reward_column(r_a: Column, r_s: Column, omega: Column, *, beta: float = 2.0, form: Form = "product") -> Column:
    """double: `values.reward`; null where a part that the form uses is null. Raises ValueError for an unknown form."""
    if form not in FORMS:
        raise ValueError(f"unknown reward form {form!r}: one of {', '.join(FORMS)}")
    b = F.lit(float(beta))
    parts = {
        "product": r_s * (1 + b * r_a) + omega,
        "sum": r_s + r_a + omega,
        "without_r_a": (1 + b) * r_s + omega,
        "without_r_s": b * r_a + omega,
    }
    return parts[form]
