"""kill -9 in the middle of a step, then the step again: nothing is lost, nothing is doubled."""

from __future__ import annotations

import pytest
from killing import Rehearsal, moments

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

KILLS = 1
"""A step; `make prove` does twenty."""


@pytest.fixture(scope="module")
def rehearsal(spark, tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    return Rehearsal(tmp_path_factory.mktemp("kills"))


@pytest.mark.parametrize(("step", "seed"), [("ingest", 0), ("slice again", 7), ("extract", 5), ("grade", 3)])
def test_a_killed_step_that_runs_again_ends_like_an_undisturbed_one(rehearsal: Rehearsal, step: str, seed: int) -> None:
    killed = 0
    for moment in moments(seed):
        killed += rehearsal.kill(step, moment)
        if killed == KILLS:
            break
