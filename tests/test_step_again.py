"""When a step takes everything again: other settings came in between; not because a run of its own broke."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from l2a.tables.warehouse import Warehouse


def test_a_step_that_replaces_goes_on_after_its_own_broken_run_and_starts_over_after_anothers(
    warehouse: Warehouse,
) -> None:
    from spark_jobs.runs import Counts, Since, run_step

    taken: list[str] = []

    def run(settings: str, breaks: bool = False, again: bool = False) -> bool:
        def work(since: Since) -> Counts:
            taken.append(settings)
            if breaks:
                raise RuntimeError("the endpoints are gone")
            return Counts()

        return run_step(warehouse, "step", (), work, settings=settings, replaces=True, all_again=again) is not None

    assert run("a")
    assert not run("a"), "no input has changed"
    with pytest.raises(RuntimeError, match="gone"):
        run("a", breaks=True, again=True)
    assert not run("a"), "what the broken run took is what the one before it took"
    assert run("b")
    assert run("a"), "what b wrote replaced it"
    with pytest.raises(RuntimeError, match="gone"):
        run("b", breaks=True)
    assert run("a"), "a broken run of b may have replaced some of it"
    assert taken == ["a", "a", "b", "a", "b", "a"]
