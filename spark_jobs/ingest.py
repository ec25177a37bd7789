"""Logs into `dialogues`, bad lines into `quarantine`, each line in exactly one count.

    l2a ingest logs/*.jsonl.gz
    spark-submit spark_jobs/ingest.py LANDING --date 2026-11-21 --warehouse s3a://bucket/warehouse

One run takes the files that were not read last as they are and as they are to be read now: whoever goes back to an
earlier mapping has its files read again. It is named by what is read, how, and after which runs, and it says in
`sources` what it reads before it writes anything else. So a run after a crash takes up what the one before has finished
and writes the same rows again, which changes nothing; and what was left half done is read again, whichever way.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import NamedTuple

import click
from pyspark.sql import Row
from pyspark.sql import functions as F

from l2a.errors import TooManyFailures, UsageError
from l2a.ingest import files
from l2a.ingest.files import LogFile
from l2a.ingest.intake import Intake, Tally
from l2a.ingest.reading import Reading, check_split
from l2a.ingest.staging import Staging, left_behind
from l2a.mapping import Mapping, load
from l2a.options import Command, common
from l2a.progress import say
from l2a.settings import IngestSettings
from l2a.tables.contracts import RUNS, SOURCES
from l2a.tables.warehouse import Warehouse
from spark_jobs.command import max_failed_share as max_failed_share_option
from spark_jobs.command import start
from spark_jobs.counts import Counts
from spark_jobs.runs import digest, recorded


def ingest(
    warehouse: Warehouse,
    paths: list[str],
    mapping: Mapping,
    settings: IngestSettings,
    *,
    given_split: str | None = None,
    date: str | None = None,
    max_failed_share: float = 1.0,
) -> Counts | None:
    """Takes the files that were not read yet; None: there was none.

    Raises `UsageError` where a path leads nowhere, and where a file that is to be read again has dialogues in another
    split than the given one; `TooManyFailures` above the allowed share of rejected lines.
    """
    spark = warehouse.spark
    found = files.find(spark, paths, date)
    says = f"{mapping.name} {digest(mapping.model_dump())}"
    reading = Reading(says, given_split, settings.max_message_bytes, settings.max_line_bytes)
    _clean_up(warehouse)
    fresh, before, after, left, now = _unread(warehouse, found, reading)
    if not fresh:
        say("ingest: every file was read before, nothing to do" if found else "ingest: there is no log file")
        return None
    check_split(warehouse, before, given_split)
    say(f"ingest: {len(fresh)} file{'' if len(fresh) == 1 else 's'} to read")
    read_with = str(reading)
    goes_on = left is not None and _reads(warehouse, left) == (fresh, {read_with})
    run_id = left if left is not None and goes_on else digest("ingest", fresh, read_with, *after)
    staging = Staging(spark, warehouse.root, run_id)
    intake = Intake(warehouse, staging, mapping, settings, given_split, now)

    def announce() -> None:
        rows = [(*file, read_with, run_id, now) for file in fresh]
        read_now = spark.createDataFrame(rows, warehouse.read_or_empty(SOURCES).schema)
        # A file that is read as it once was has its row already, which from now on is this run's. What another attempt
        # of this run has said stays.
        warehouse.upsert(SOURCES, read_now, combine={"run_id": "s.run_id"}, unique=True)

    def work() -> Counts:
        try:
            return _counts(intake.take([file.path for file in fresh], announce))
        except Exception:
            # Another run of the same files may have been faster, and have cleaned up what both work from.
            if (counts_of_other := _finished(warehouse, run_id)) is None:
                raise
            return counts_of_other

    behind = {"mapping": read_with}
    try:
        counts = recorded(
            warehouse, "ingest", mapping.name, behind, work, max_failed_share=max_failed_share, run_id=run_id
        )
    except TooManyFailures:
        staging.delete()
        raise
    staging.delete()
    return counts


def _counts(tally: Tally) -> Counts:
    return Counts(
        rows_in=sum(tally),
        rows_out=tally.new + tally.updated,
        rows_set_aside=tally.unchanged + tally.superseded,
        rows_failed=tally.quarantined,
        **{f"rows_{name}": count for name, count in tally._asdict().items()},
    )


class _Unread(NamedTuple):
    """What there is to read."""

    files: list[LogFile]
    before: dict[str, set[str | None]]
    """Those of their paths that were read otherwise, with the splits that were given with them."""
    after: list[str]
    """The runs that have read them last, finished or not. They tell a reading from an earlier one of the same files in
    the same way."""
    left: str | None
    """The one run that has read them last, if it has not finished."""
    now: dt.datetime
    """When they are read: later than they ever were, also where a clock was set back."""


def _unread(warehouse: Warehouse, found: list[LogFile], reading: Reading) -> _Unread:
    """The files that were not read in this state and in this way when they were last read.

    Only the newest reading counts: it has replaced what the earlier ones wrote, or some of it. It says so in `sources`
    before it writes anything, and a file counts as read when that run has its row in `runs`: the last thing that it
    writes.
    """
    now = dt.datetime.now(dt.UTC)
    if not found or not warehouse.exists(SOURCES):
        return _Unread(found, {}, [], None, now)
    asked = warehouse.spark.createDataFrame([(file.path,) for file in found], "path string")
    rows = warehouse.read(SOURCES).join(F.broadcast(asked), "path", "left_semi").collect()
    finished = _finished_of(warehouse, {row["run_id"] for row in rows})
    # As the view `night_intake` orders them: by time, and at one time the smallest id counts.
    rows.sort(key=lambda row: row["run_id"], reverse=True)
    rows.sort(key=lambda row: row["ingested_at"])
    last = {row["path"]: row for row in rows}
    known = {
        _file(row) for row in last.values() if row["run_id"] in finished and Reading.of(row["mapping"]).covers(reading)
    }
    fresh = [file for file in found if file not in known]
    paths, before = {file.path for file in fresh}, dict[str, set[str | None]]()
    for row in rows:
        if row["path"] in paths:
            before.setdefault(row["path"], set()).add(Reading.of(row["mapping"]).split)
    behind = [row for path, row in last.items() if path in paths]
    latest = max((row["ingested_at"].astimezone(dt.UTC) for row in behind), default=now)
    now = max(now, latest + dt.timedelta(microseconds=1))
    after = sorted({row["run_id"] for row in behind})
    left = after[0] if len(after) == 1 and after[0] not in finished else None
    return _Unread(fresh, before, after, left, now)


def _reads(warehouse: Warehouse, run_id: str) -> tuple[list[LogFile], set[str]]:
    """The files that a run has said it reads, by path, and how."""
    rows = warehouse.read(SOURCES).where(F.col("run_id") == run_id).collect()
    return sorted(map(_file, rows)), {row["mapping"] for row in rows}


def _file(row: Row) -> LogFile:
    """The file of a row of `sources`."""
    return LogFile(row["path"], row["size_bytes"], row["modified_at"])


def _finished_of(warehouse: Warehouse, run_ids: set[str]) -> set[str]:
    """Those of the runs that have their row in `runs`."""
    if not run_ids or not warehouse.exists(RUNS):
        return set()
    rows = warehouse.read(RUNS).where(F.col("run_id").isin(sorted(run_ids))).select("run_id").collect()
    return {row["run_id"] for row in rows}


def _finished(warehouse: Warehouse, run_id: str) -> Counts | None:
    """What a finished run counted; None: it has not finished."""
    row = warehouse.read_or_empty(RUNS).where(F.col("run_id") == run_id).first()
    return None if row is None else Counts(**{field.name: row[field.name] for field in dataclasses.fields(Counts)})


def _clean_up(warehouse: Warehouse) -> None:
    """Removes the staging folders of finished runs."""
    left = set(left_behind(warehouse.spark, warehouse.root))
    for run_id in sorted(_finished_of(warehouse, left)):
        Staging(warehouse.spark, warehouse.root, run_id).delete()


@click.command(cls=Command)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--mapping", metavar="NAME|FILE", help="How the logs are to be read [default: native].")
@click.option(
    "--split", "given_split", type=click.Choice(["train", "eval"]), help="The split that these logs bring themselves."
)
@click.option("--date", metavar="YYYY-MM-DD", help="Only this night: PATH/dt=YYYY-MM-DD.")
@max_failed_share_option
@common
def command(
    paths: tuple[str, ...],
    mapping: str | None,
    given_split: str | None,
    date: str | None,
    max_failed_share: float | None,
    config: str | None,
    warehouse: str | None,
) -> None:
    """Logs (JSON lines, gzip or not, Parquet; files, folders, globs) into dialogues, bad lines into quarantine."""
    if date is not None:
        _check_date(date)
    how = load(mapping)
    settings, tables = start(config, warehouse, max_failed_share=max_failed_share)
    ingest(
        tables,
        list(paths),
        how,
        settings.ingest,
        given_split=given_split,
        date=date,
        max_failed_share=settings.max_failed_share,
    )


def _check_date(date: str) -> None:
    try:
        dt.date.fromisoformat(date)
    except ValueError:
        raise UsageError(f"--date {date}: a date is written YYYY-MM-DD") from None


if __name__ == "__main__":
    command()
