"""Which grader pays the reward: the configured judge, as everybody opens it (`l2a.judge.open`)."""

from __future__ import annotations

from l2a.judge.open import grader_name, open_grader

__all__ = ["grader_name", "open_grader"]
