"""Twenty kills at random moments of each step that real logs go through, each followed by a rerun."""

from __future__ import annotations

from collections import Counter

import pytest
from killing import VICTIMS, Rehearsal, moments

pytestmark = pytest.mark.prove

KILLS = 20


@pytest.fixture(scope="module")
def rehearsal(spark, tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    return Rehearsal(tmp_path_factory.mktemp("kills"))


@pytest.mark.parametrize("step", ["ingest", "slice", "extract", "grade", "ingest again", "slice again"])
def test_twenty_kills_leave_no_trace_in_any_table(rehearsal: Rehearsal, step: str) -> None:
    killed: Counter[str] = Counter()
    for moment in moments(seed=len(step)):
        killed[moment.victim] += rehearsal.kill(step, moment)
        if killed.total() == KILLS:
            break
    assert all(killed[victim] for victim in VICTIMS)
