"""The last run of a step, found in `runs`, and what changed in the tables since."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Mapping

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from l2a.tables import history
from l2a.tables.contract import Contract
from l2a.tables.contracts import RUNS
from l2a.tables.warehouse import Warehouse


@dataclasses.dataclass(frozen=True)
class Since:
    """The versions up to which a step has taken its inputs; -1: nothing yet."""

    versions: Mapping[str, int]
    again: DataFrame | None = None
    """Sessions to take again although they did not change: a call of theirs failed."""

    def changed_sessions(self, warehouse: Warehouse, *inputs: Contract) -> DataFrame | None:
        """Sessions that changed in any of the inputs since; None: take all."""
        parts = [] if self.again is None else [self.again]
        for contract in inputs:
            part = history.changed_sessions(warehouse, contract, self.versions.get(contract.name, -1))
            if part is None:
                return None
            parts.append(part)
        return parts[0] if len(parts) == 1 else functools.reduce(DataFrame.union, parts).distinct().persist()

    def newest(self, warehouse: Warehouse, contract: Contract) -> DataFrame:
        """The table's rows that were written since, as they are now, where `changed_sessions` knows of some."""
        return history.newest_rows(warehouse, contract, self.versions[contract.name])


@dataclasses.dataclass(frozen=True)
class LastRun:
    """The last finished run of a step: the versions that it took, and its rows."""

    versions: Mapping[str, int]
    ended: dt.datetime
    rows: int


def last_run(warehouse: Warehouse, step: str, subject: str, settings: str, replaces: bool) -> LastRun | None:
    """The last run of this step with these settings that finished well. replaces: none, where another's came after it.

    A run with the same settings that broke, or left too many failures, wrote nothing that is not taken again: what it
    took has changed since the one before it, too. Of runs beside each other, the one that had read less may have been
    the last to write, so the least that any of them had read counts.
    """
    if not warehouse.exists(RUNS):
        return None
    same = F.coalesce(F.try_element_at("versions", F.lit("settings")), F.lit("")) == settings
    well = same & (F.col("status") == "ok")
    started = F.unix_micros("started_at").alias("started")
    ended = (started + F.col("seconds") * 1_000_000).cast("long").alias("ended")
    newest = F.max("started").over(Window.partitionBy("step")).alias("newest")
    runs = (
        warehouse.read(RUNS)
        .where(_of(step, subject))
        .where(well | ~same if replaces else well)
        .select("step", "versions", "rows_in", well.alias("well"), started, ended)
        .select("*", newest)
        .where((F.col("started") == F.col("newest")) | (F.col("well") & (F.col("ended") > F.col("newest"))))
    )
    found = sorted(runs.collect(), key=lambda row: row["started"], reverse=True)
    if not found or not found[0]["well"]:
        return None
    last, read = found[0], [_numbers(row["versions"]) for row in found]
    versions = {name: min(one.get(name, -1) for one in read) for name in read[0]}
    when = dt.datetime.fromtimestamp(last["ended"] / 1_000_000, dt.UTC)
    return LastRun(versions, when, rows=last["rows_in"])


def _numbers(versions: Mapping[str, str]) -> dict[str, int]:
    """The tables' versions among all that a run's row says of what was behind it."""
    return {name: int(value) for name, value in versions.items() if value.lstrip("-").isdigit()}


def ever_ran(warehouse: Warehouse, step: str, subject: str) -> bool:
    """Whether a run of this step ever ended well: a first run replaces nothing."""
    if not warehouse.exists(RUNS):
        return False
    return not warehouse.read(RUNS).where(_of(step, subject) & (F.col("status") == "ok")).isEmpty()


def _of(step: str, subject: str) -> Column:
    """Whether a row of `runs` is of this step."""
    return (F.col("step") == step) & F.col("subject").eqNullSafe(F.lit(subject or None))
