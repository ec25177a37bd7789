"""A run of a step: what it reads from, whether anything is new, and the row that it leaves in `runs`.

A step that finished has a row with the Delta versions of the tables that it read. The next run asks the tables for what
changed since; where nothing did, it does nothing and leaves no row. A step that was killed has no row, so the next run
takes the same changes again; since writing the same rows again changes nothing, nothing is lost or doubled.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

import l2a
from l2a.errors import TooManyFailures
from l2a.progress import say
from l2a.sql.status import REPLACING
from l2a.tables import history
from l2a.tables.contract import Contract
from l2a.tables.contracts import RUNS
from l2a.tables.warehouse import Warehouse
from spark_jobs.progress import shown
from spark_jobs.session import check_alive


@dataclasses.dataclass
class Counts:
    """What a run counted; the names are columns of `runs`."""

    rows_in: int = 0
    rows_out: int = 0
    rows_set_aside: int = 0
    rows_failed: int = 0
    rows_new: int | None = None
    rows_updated: int | None = None
    rows_unchanged: int | None = None
    rows_superseded: int | None = None
    rows_quarantined: int | None = None
    facts_dropped: int | None = None
    calls_paid: int = 0
    calls_saved: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def sentence(self) -> str:
        parts = [f"{self.rows_in:,} in", f"{self.rows_out:,} out"]
        names = ("new", "updated", "unchanged", "superseded", "quarantined")
        parts += [f"{value:,} {name}" for name in names if (value := getattr(self, f"rows_{name}"))]
        if self.rows_quarantined is None:
            parts += [f"{self.rows_set_aside:,} set aside"] if self.rows_set_aside else []
            parts += [f"{self.rows_failed:,} failed"] if self.rows_failed else []
            parts += [f"{self.facts_dropped:,} facts dropped"] if self.facts_dropped else []
        if self.calls_paid or self.calls_saved:
            parts.append(f"{self.calls_paid:,} calls paid, {self.calls_saved:,} saved")
        return ", ".join(parts)


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


def digest(*values: Any) -> str:
    """A short name for a combination of settings: equal in every process."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def run_step(
    warehouse: Warehouse,
    step: str,
    inputs: tuple[Contract, ...],
    work: Callable[[Since], Counts],
    *,
    subject: str = "",
    settings: str = "",
    replaces: bool = False,
    failed_before: Callable[[dt.datetime], DataFrame] | None = None,
    max_failed_share: float = 1.0,
    all_again: bool = False,
) -> Counts | None:
    """Runs `work` unless no input has a new version since it last ran with the same settings; None: nothing was new.

    settings: digest of what else the outcome depends on; a change of it takes everything again.
    replaces: what a run writes replaces what was made with other settings, so that only the last run counts.
    failed_before: sessions with failed rows that are worth trying again; asked where the last run left failed rows,
        with the time at which it ended.
    Raises `TooManyFailures`, after everything is written, above the allowed share; what `work` raises goes on upwards
    after a row with status failed was left.
    """
    versions = {contract.name: warehouse.version(contract) for contract in inputs}
    known = _last(warehouse, step, subject, settings, replaces)
    last = None if all_again else known
    again = None
    if last is not None and failed_before is not None and last.failed:
        # Not `persist`: Spark makes a cached frame anew when a table that it came from is written, as it soon will be.
        again = failed_before(last.ended).localCheckpoint()
        again = None if again.isEmpty() else again
    if last is not None and again is None and all(last.versions.get(name) == now for name, now in versions.items()):
        say(f"{_title(step, subject)}: nothing new, nothing to do")
        return None
    since = Since({} if last is None else last.versions, again)
    behind = {name: str(version) for name, version in versions.items()} | {"settings": settings}
    before = last.rows if last is not None and again is not None else 0
    if replaces and known is None and _ran(warehouse, step, subject):
        _announce(warehouse, step, subject, behind)
    return recorded(
        warehouse, step, subject, behind, lambda: work(since), max_failed_share=max_failed_share, rows_before=before
    )


def _announce(warehouse: Warehouse, step: str, subject: str, versions: Mapping[str, str]) -> None:
    """Leaves a row that says that what an earlier run wrote is about to be replaced.

    Should this run be killed halfway, the next one with the earlier settings must not find its own row to be the last.
    """
    row = _row(step, subject, dt.datetime.now(dt.UTC), 0.0, REPLACING, versions)
    _leave(warehouse, uuid.uuid4().hex, row, Counts())


def recorded(
    warehouse: Warehouse,
    step: str,
    subject: str,
    versions: Mapping[str, str],
    work: Callable[[], Counts],
    *,
    max_failed_share: float = 1.0,
    run_id: str | None = None,
    rows_before: int = 0,
) -> Counts:
    """Runs `work`, shows its progress, and leaves its row in `runs`.

    run_id: of a run that is the same run when it is tried again: it has one row once it is finished, however many
    attempts finish it. An attempt that broke has a row of its own.
    rows_before: rows of the run whose failed ones are tried again; the share of failed rows is one of those, at least.
    """
    started, clock = dt.datetime.now(dt.UTC), time.monotonic()
    attempt = uuid.uuid4().hex

    def leave(counts: Counts, error: str | None, name: str) -> None:
        _leave(warehouse, name, _row(step, subject, started, time.monotonic() - clock, error, versions), counts)

    warehouse.ensure(RUNS)
    try:
        with shown(warehouse.spark, _title(step, subject)):
            counts = work()
    except Exception as error:
        check_alive(warehouse.spark, error)
        try:
            # A run that its endpoints stopped has paid for what it asked until then.
            leave(
                Counts(**getattr(error, "counts", {})),
                (str(error).strip() or type(error).__name__).splitlines()[0][:500],
                attempt,
            )
        except Exception as second:
            say(f"{step}: the failure could not be written to runs: {str(second).strip().splitlines()[0]}")
        raise
    rows = max(counts.rows_in, rows_before)
    share = counts.rows_failed / rows if rows else 0.0
    problem = None
    if share > max_failed_share:
        problem = (
            f"{step}: {counts.rows_failed:,} of {rows:,} rows failed ({share:.1%}), more than the allowed "
            f"{max_failed_share:.1%} (--max-failed-share). What was good is kept."
        )
    leave(counts, problem, run_id or attempt)
    say(f"{_title(step, subject)}: {counts.sentence()} in {time.monotonic() - clock:.1f} s")
    if problem:
        raise TooManyFailures(problem)
    return counts


def _row(
    step: str, subject: str, started: dt.datetime, seconds: float, error: str | None, versions: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "step": step,
        "subject": subject or None,
        "started_at": started,
        "seconds": seconds,
        "status": "ok" if error is None else "failed",
        "error": error,
        "versions": {**versions, "l2a": l2a.__version__},
    }


def _leave(warehouse: Warehouse, name: str, row: Mapping[str, Any], counts: Counts) -> None:
    schema = warehouse.read_or_empty(RUNS).schema
    whole = {"run_id": name, **row, **dataclasses.asdict(counts)}
    warehouse.append_once(RUNS, warehouse.spark.createDataFrame([whole], schema), f"run-{name}")


def _title(step: str, subject: str) -> str:
    return f"{step} {subject}".strip()


@dataclasses.dataclass(frozen=True)
class _Last:
    """The last finished run of a step: the versions that it took, its rows, and whether it left failed ones."""

    versions: Mapping[str, int]
    ended: dt.datetime
    rows: int
    failed: bool


def _last(warehouse: Warehouse, step: str, subject: str, settings: str, replaces: bool) -> _Last | None:
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
        .where((F.col("step") == step) & F.col("subject").eqNullSafe(F.lit(subject or None)))
        .where(well | ~same if replaces else well)
        .select("step", "versions", "rows_in", "rows_failed", well.alias("well"), started, ended)
        .select("*", newest)
        .where((F.col("started") == F.col("newest")) | (F.col("well") & (F.col("ended") > F.col("newest"))))
    )
    found = sorted(runs.collect(), key=lambda row: row["started"], reverse=True)
    if not found or not found[0]["well"]:
        return None
    last, read = found[0], [_numbers(row["versions"]) for row in found]
    versions = {name: min(one.get(name, -1) for one in read) for name in read[0]}
    when = dt.datetime.fromtimestamp(last["ended"] / 1_000_000, dt.UTC)
    return _Last(versions, when, rows=last["rows_in"], failed=last["rows_failed"] > 0)


def _numbers(versions: Mapping[str, str]) -> dict[str, int]:
    """The tables' versions among all that a run's row says of what was behind it."""
    return {name: int(value) for name, value in versions.items() if value.lstrip("-").isdigit()}


def _ran(warehouse: Warehouse, step: str, subject: str) -> bool:
    """Whether a run of this step ever ended well: a first run replaces nothing."""
    if not warehouse.exists(RUNS):
        return False
    same = (F.col("step") == step) & F.col("subject").eqNullSafe(F.lit(subject or None))
    return not warehouse.read(RUNS).where(same & (F.col("status") == "ok")).isEmpty()


__all__ = ["Counts", "Since", "digest", "recorded", "run_step"]
