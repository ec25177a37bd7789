"""What a step takes again: all, after other settings; not because a run broke; changes, of runs beside each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from helpers import Killed

if TYPE_CHECKING:
    from l2a.tables.warehouse import Warehouse


def test_a_step_that_replaces_goes_on_after_its_own_broken_run_and_starts_over_after_anothers(
    warehouse: Warehouse,
) -> None:
    from l2a.sql.status import REPLACING
    from l2a.tables.contracts import RUNS
    from spark_jobs.counts import Counts
    from spark_jobs.last_run import Since
    from spark_jobs.runs import run_step

    taken: list[str] = []

    def run(settings: str, breaks: bool = False, again: bool = False, killed: bool = False) -> bool:
        def work(since: Since) -> Counts:
            taken.append(settings)
            if breaks:
                raise RuntimeError("the endpoints are gone")
            if killed:
                raise Killed
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
    with pytest.raises(RuntimeError, match="gone"):
        run("a", breaks=True, again=True)
    with pytest.raises(Killed):
        run("b", killed=True)
    assert run("a"), "a killed run of b may have replaced some of it"
    assert taken == ["a", "a", "b", "a", "b", "a", "a", "b", "a"]
    marks = [row["status"] for row in warehouse.read(RUNS).collect() if row["error"] == REPLACING]
    assert marks == ["failed"] * 6, "runs that replace leave their mark, by the words that `l2a status` knows it by"


def test_of_two_runs_beside_each_other_the_one_that_had_read_less_counts(warehouse: Warehouse) -> None:
    """It may have been the last to write, older rows over newer ones."""
    from l2a.tables.contracts import DIALOGUES
    from spark_jobs.counts import Counts
    from spark_jobs.last_run import Since
    from spark_jobs.runs import run_step

    seen: list[int] = []

    def run(beside: Callable[[], object] = lambda: None) -> bool:
        def work(since: Since) -> Counts:
            seen.append(since.versions.get(DIALOGUES.name, -1))
            beside()
            return Counts()

        return run_step(warehouse, "step", (DIALOGUES,), work) is not None

    def change() -> int:
        table = f"delta.`{warehouse.path(DIALOGUES.name)}`"
        warehouse.spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('about.test' = '{len(seen)}')")
        return warehouse.version(DIALOGUES)

    warehouse.ensure(DIALOGUES)
    first = warehouse.version(DIALOGUES)
    assert run()
    second = change()
    assert run(beside=lambda: (change(), run()))
    assert run(), "the run that ended last had not read the last change"
    assert not run()
    assert seen == [-1, first, first, second]
