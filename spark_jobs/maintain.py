"""Keeps a warehouse fit: compacts, cleans up, and checks every table over all its rows.

l2a maintain                                   all of it
l2a maintain --only vacuum                     one part: optimize, vacuum, clean, contracts, reconcile
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable

import click
from delta import DeltaTable
from pyspark.sql import functions as F
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from l2a.errors import ChecksFailed
from l2a.ingest.staging import Staging, left_behind
from l2a.nightly.leftovers import clean_trainings
from l2a.options import Command, common
from l2a.progress import say
from l2a.settings import Settings
from l2a.sql.spark import create_views
from l2a.tables.conflicts import CONFLICTS
from l2a.tables.contract import Contract
from l2a.tables.contracts import ALL, LLM_CALLS, RUNS
from l2a.tables.warehouse import Warehouse
from spark_jobs.calls import drain
from spark_jobs.command import start
from spark_jobs.counts import Counts
from spark_jobs.runs import recorded

_again = retry(
    retry=retry_if_exception_type(CONFLICTS),
    stop=stop_after_attempt(5),
    wait=wait_random_exponential(max=20),
    reraise=True,
)
"""A table that is rewritten while a step writes into it lets the step win."""


def optimize(warehouse: Warehouse, settings: Settings) -> Counts:
    """Small files into large ones. Readers and change feeds see no difference."""
    counts = Counts()
    for contract in _there(warehouse):
        table = DeltaTable.forPath(warehouse.spark, warehouse.path(contract.name))
        done = _again(lambda table=table: table.optimize().executeCompaction().select("metrics").first())()
        assert done is not None
        removed, added = done["metrics"]["numFilesRemoved"], done["metrics"]["numFilesAdded"]
        counts.rows_in += removed
        counts.rows_out += added
        if removed:
            say(f"optimize {contract.name}: {removed:,} files into {added:,}")
    return counts


def vacuum(warehouse: Warehouse, settings: Settings) -> Counts:
    """Deletes files that no table version within the retention needs."""
    hours = settings.maintenance.retain_hours
    # Listing files takes as many tasks as this says, ten thousand by default, however few files there are.
    parallelism = 4 * warehouse.spark.sparkContext.defaultParallelism
    warehouse.spark.conf.set("spark.sql.sources.parallelPartitionDiscovery.parallelism", str(parallelism))
    for contract in _there(warehouse):
        DeltaTable.forPath(warehouse.spark, warehouse.path(contract.name)).vacuum(hours)
    tables = len(_there(warehouse))
    say(f"vacuum: {tables} tables, versions of the last {hours:g} hours are kept")
    return Counts(rows_in=tables, rows_out=tables)


def clean(warehouse: Warehouse, settings: Settings) -> Counts:
    """What dead runs left: answers in the spool (into the table first), staged lines, checkpoints, job folders."""
    if warehouse.exists(LLM_CALLS):
        drain(warehouse)
    removed = [f"staging of run {run}" for run in _remove_staging(warehouse, settings.maintenance.retain_hours)]
    removed += clean_trainings(settings)
    for what in removed:
        say(f"clean: removed {what}")
    return Counts(rows_in=len(removed), rows_out=len(removed))


def contracts(warehouse: Warehouse, settings: Settings) -> Counts:
    """Every promise of every contract, over all rows. Raises `ChecksFailed` naming those that are broken."""
    counts, broken = Counts(), []
    for contract in _there(warehouse):
        rows = warehouse.read(contract)
        promises = {
            **{f"{c.name} holds a value": F.col(c.name).isNull() for c in contract.columns if not c.nullable},
            **{i.meaning: ~F.coalesce(F.expr(i.sql), F.lit(True)) for i in contract.invariants},
        }
        wrong = [F.count_if(condition).alias(str(number)) for number, condition in enumerate(promises.values())]
        found = rows.agg(F.count("*").alias("rows"), *wrong).first()
        assert found is not None
        counts.rows_in += found["rows"]
        broken += [
            f"{contract.name}: {found[str(number)]:,} rows break '{meaning}'"
            for number, meaning in enumerate(promises)
            if found[str(number)]
        ]
        # A key with null in it (a line whose number is not known) tells nothing apart.
        keys = rows.select(*contract.key).dropna().groupBy(*contract.key).count().where("count > 1")
        if twice := keys.count():
            broken.append(f"{contract.name}: {twice:,} keys come twice")
    counts.rows_out = counts.rows_in
    if broken:
        raise ChecksFailed("; ".join(broken))
    say(f"contracts: {counts.rows_in:,} rows keep every promise")
    return counts


def reconcile(warehouse: Warehouse, settings: Settings) -> Counts:
    """Whether the tables agree with each other. Raises `ChecksFailed` for what must hold at any moment.

    What waits for a step is said, since a step may be under way.
    """
    create_views(warehouse.spark, warehouse.root)
    rows = warehouse.spark.sql("SELECT * FROM table_reconciliation ORDER BY kind, what").collect()
    for row in rows:
        if row["found"]:
            say(f"reconcile: {row['kind']}: {row['found']:,} {row['what']} (next: {row['next_step']})")
    broken = [f"{row['found']:,} {row['what']}" for row in rows if row["kind"] == "broken" and row["found"]]
    if broken:
        raise ChecksFailed("; ".join(broken))
    return Counts(rows_in=len(rows), rows_out=len(rows))


PARTS: dict[str, Callable[[Warehouse, Settings], Counts]] = {
    part.__name__: part for part in (optimize, vacuum, clean, contracts, reconcile)
}


def maintain(warehouse: Warehouse, settings: Settings, parts: tuple[str, ...] = tuple(PARTS)) -> None:
    """Runs the parts in their order, each to its end, and leaves a row of each in `runs`.

    Raises `ChecksFailed`, after all parts ran, with what the checks among them found.
    """
    failed = []
    for name, part in PARTS.items():
        if name in parts:
            try:
                recorded(warehouse, "maintain", name, {}, functools.partial(part, warehouse, settings))
            except ChecksFailed as error:
                failed.append(f"{name}: {error}")
    if failed:
        raise ChecksFailed(" | ".join(failed))


def _there(warehouse: Warehouse) -> list[Contract]:
    return [contract for contract in ALL if warehouse.exists(contract)]


def _remove_staging(warehouse: Warehouse, hours: float) -> list[str]:
    """Staging folders of runs that are finished, or in which nothing was written for so long.

    An unfinished one is what its next try works from, which never comes where the files were changed meanwhile.
    """
    left = left_behind(warehouse.spark, warehouse.root)
    known = warehouse.read_or_empty(RUNS).where(F.col("run_id").isin(left)).select("run_id") if left else None
    finished = set() if known is None else {row["run_id"] for row in known.collect()}
    since, removed = dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours), []
    for run in left:
        staging = Staging(warehouse.spark, warehouse.root, run)
        if run in finished or staging.last_written() < since:
            staging.delete()
            removed.append(run)
    return removed


@click.command(cls=Command)
@click.option("--only", "parts", multiple=True, type=click.Choice(list(PARTS)), help="Only this part; repeatable.")
@common
def command(parts: tuple[str, ...], config: str | None, warehouse: str | None) -> None:
    """Compacts tables, deletes old files, cleans up, checks contracts, reconciles."""
    settings, tables = start(config, warehouse)
    maintain(tables, settings, parts or tuple(PARTS))


if __name__ == "__main__":
    command()
