"""The reward: one definition, as numbers (`reward`, `grade`) and as Spark columns (`l2a.reward.columns`)."""

from l2a.reward.grading import Grade, grade, needs_grader
from l2a.reward.values import FORMS, Form, OmegaWeights, omega, r_a, r_s, reward

__all__ = ["FORMS", "Form", "Grade", "OmegaWeights", "grade", "needs_grader", "omega", "r_a", "r_s", "reward"]
