"""A run of a step: what it reads from, whether anything is new, and the row that it leaves in `runs`.

A step that finished has a row with the Delta versions of the tables that it read. The next run asks the tables for what
changed since; where nothing did, it does nothing and leaves no row. A step that was killed has no row, so the next run
takes the same changes again; since writing the same rows again changes nothing, nothing is lost or doubled.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from pyspark.sql import DataFrame

import l2a
from l2a.errors import TooManyFailures
from l2a.progress import say
from l2a.sql.status import REPLACING
from l2a.tables.contract import Contract
from l2a.tables.contracts import RUNS
from l2a.tables.warehouse import Warehouse
from spark_jobs.counts import Counts
from spark_jobs.last_run import Since, ever_ran, last_run
from spark_jobs.progress import shown
from spark_jobs.session import check_alive


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
    failed_before: sessions with failed rows that are worth trying again, asked with the time at which the last run
        ended.
    Raises `TooManyFailures`, after everything is written, above the allowed share; what `work` raises goes on upwards
    after a row with status failed was left.
    """
    versions = {contract.name: warehouse.version(contract) for contract in inputs}
    known = last_run(warehouse, step, subject, settings, replaces)
    last = None if all_again else known
    again = None
    if last is not None and failed_before is not None:
        # Not `persist`: Spark makes a cached frame anew when a table that it came from is written, as it soon will be.
        again = failed_before(last.ended).localCheckpoint()
        again = None if again.isEmpty() else again
    if last is not None and again is None and all(last.versions.get(name) == now for name, now in versions.items()):
        say(f"{_title(step, subject)}: nothing new, nothing to do")
        return None
    since = Since({} if last is None else last.versions, again)
    behind = {name: str(version) for name, version in versions.items()} | {"settings": settings}
    before = last.rows if last is not None and again is not None else 0
    if replaces and known is None and ever_ran(warehouse, step, subject):
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
