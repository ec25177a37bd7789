"""Logs into `dialogues`, bad lines into `quarantine`, each line in exactly one count.

    l2a ingest logs/*.jsonl.gz
    spark-submit spark_jobs/ingest.py LANDING --date 2026-11-21 --warehouse s3a://bucket/warehouse

One run takes the files that `sources` does not hold yet. It parses them into a staging folder once; from there come
the rejected lines, the newest version of each dialogue and the counts. The folder is named by what is read, so a run
after a crash takes up what is complete and writes the same rows again, which changes nothing.
"""

from __future__ import annotations

import datetime as dt

import click
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from l2a.errors import UsageError
from l2a.ingest import classify, diagnose, events, files, parse
from l2a.ingest.split import split
from l2a.ingest.staging import Staging
from l2a.mapping import Mapping, load
from l2a.options import Command, common
from l2a.progress import say
from l2a.settings import IngestSettings
from l2a.tables.contracts import DIALOGUES, QUARANTINE, RUNS, SOURCES
from l2a.tables.warehouse import Warehouse
from spark_jobs.command import max_failed_share as max_failed_share_option
from spark_jobs.command import start
from spark_jobs.runs import Counts, digest, recorded


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

    Raises `UsageError` where a path leads nowhere, `TooManyFailures` above the allowed share of rejected lines.
    """
    found = files.find(warehouse.spark, paths, date)
    # A file counts as read when the run that read it has its row: the last thing that a run writes.
    finished = warehouse.read_or_empty(RUNS).select("run_id")
    known = warehouse.read_or_empty(SOURCES).join(finished, "run_id", "left_semi").select(*SOURCES.key)
    fresh = found.join(known, list(SOURCES.key), "left_anti").orderBy("path").collect()
    if not fresh:
        say("ingest: every file was read before, nothing to do")
        return None
    say(f"ingest: {len(fresh)} file{'' if len(fresh) == 1 else 's'} to read")
    run_id = digest("ingest", [tuple(row) for row in fresh], mapping.model_dump(), given_split)
    staging = Staging(warehouse.spark, f"{warehouse.root}/_staging/ingest-{run_id}")
    intake = _Intake(warehouse, staging, mapping, settings, given_split, dt.datetime.now(dt.UTC))

    def work() -> Counts:
        counts = intake.take([row["path"] for row in fresh])
        rows = [(*row, mapping.name, run_id, intake.now) for row in fresh]
        warehouse.upsert(SOURCES, warehouse.spark.createDataFrame(rows, warehouse.read_or_empty(SOURCES).schema))
        return counts

    behind = {"mapping": digest(mapping.model_dump())}
    try:
        return recorded(
            warehouse, "ingest", mapping.name, behind, work, max_failed_share=max_failed_share, run_id=run_id
        )
    finally:
        if intake.done:
            staging.delete()


class _Intake:
    """One run's way from files to tables."""

    def __init__(
        self,
        warehouse: Warehouse,
        staging: Staging,
        mapping: Mapping,
        settings: IngestSettings,
        given_split: str | None,
        now: dt.datetime,
    ) -> None:
        self.warehouse = warehouse
        self.staging = staging
        self.mapping = mapping
        self.settings = settings
        self.given_split = given_split
        self.now = now
        self.done = False

    def take(self, paths: list[str]) -> Counts:
        lines = self.staging.once("lines", lambda: self._parsed(paths))
        good, rejected = lines.where("reason IS NULL"), lines.where(F.col("reason") != parse.BLANK)
        candidates = good
        if self.mapping.kind == "event":
            gathered = self.staging.once("gathered", lambda: self._gathered(good))
            nobody = events.without_user(gathered)
            candidates = gathered.join(nobody, "session_id", "left_anti")
            silent = good.join(nobody, "session_id", "left_semi").withColumn("reason", F.lit(parse.NO_USER_MESSAGE))
            rejected = rejected.unionByName(silent)
        decided = self.staging.once(
            "actions",
            lambda: classify.actions(classify.winners(candidates), self.warehouse.read_or_empty(DIALOGUES)),
        )
        self._quarantine(rejected, files.blocks(lines))
        self._write(candidates, decided)
        counts = self._counted(good, candidates, decided, rejected)
        self.done = True
        return counts

    def _parsed(self, paths: list[str]) -> DataFrame:
        parquet = [path for path in paths if path.endswith(files.PARQUET_SUFFIX)]
        text = [path for path in paths if not path.endswith(files.PARQUET_SUFFIX)]
        limits = self.settings
        raw_lines = files.lines(self.warehouse.spark, text, parquet)
        parsed = parse.parse(raw_lines, self.mapping, limits.max_message_bytes, limits.max_line_bytes)
        raw = F.when(F.col("reason") == parse.MALFORMED, F.col("value")).when(
            F.col("reason").isNotNull() | F.lit(self.mapping.kind == "event"),
            F.substr(F.make_valid_utf8("value"), F.lit(1), F.lit(limits.quarantine_raw_bytes)),
        )
        parsed = parsed.withColumn("raw", raw).withColumn("landed", _landed()).drop("value")
        return parsed if self.mapping.kind == "event" else self._finished(parsed)

    def _gathered(self, good: DataFrame) -> DataFrame:
        known = self.warehouse.read_or_empty(DIALOGUES)
        return self._finished(events.gather(good, known).withColumn("landed", _landed()))

    def _finished(self, dialogues: DataFrame) -> DataFrame:
        return dialogues.withColumns(
            {
                "dialogue_version": classify.dialogue_version(),
                "split": split(self.settings.split_shares, self.given_split),
            }
        )

    def _quarantine(self, rejected: DataFrame, blocks: DataFrame) -> None:
        if rejected.isEmpty():
            return
        why = F.arrow_udf(_diagnose_all, "string")
        malformed = rejected.where(F.col("reason") == parse.MALFORMED).withColumn("reason", why("raw"))
        told = rejected.where(F.col("reason") != parse.MALFORMED).unionByName(malformed)
        raw = F.substr("raw", F.lit(1), F.lit(self.settings.quarantine_raw_bytes))
        rows = files.with_position(told, blocks).withColumns({"raw": raw, "ingested_at": F.lit(self.now)})
        self.warehouse.upsert(QUARANTINE, rows)

    def _write(self, candidates: DataFrame, decided: DataFrame) -> None:
        wanted = decided.where("write").select(*classify.PLACE)
        # What is left out is mostly little, so that Spark broadcasts it instead of moving all texts.
        unwanted = candidates.select(*classify.PLACE).join(wanted, list(classify.PLACE), "left_anti")
        rows = candidates.join(unwanted, list(classify.PLACE), "left_anti").withColumn("ingested_at", F.lit(self.now))
        self.warehouse.upsert(
            DIALOGUES, rows, only_if="struct(s.updated_at, s.landed) >= struct(t.updated_at, t.landed)"
        )

    def _counted(self, good: DataFrame, candidates: DataFrame, decided: DataFrame, rejected: DataFrame) -> Counts:
        if self.mapping.kind == "event":
            fates = good.join(decided.select("session_id", F.col("action").alias("fate")), "session_id")
        else:
            fates = classify.fates(candidates, decided)
        by_fate = {row["fate"]: int(row["count"]) for row in fates.groupBy("fate").count().collect()}
        quarantined = rejected.count()
        new, updated = by_fate.get(classify.NEW, 0), by_fate.get(classify.UPDATED, 0)
        unchanged, superseded = by_fate.get(classify.UNCHANGED, 0), by_fate.get(classify.SUPERSEDED, 0)
        return Counts(
            rows_in=new + updated + unchanged + superseded + quarantined,
            rows_out=new + updated,
            rows_set_aside=unchanged + superseded,
            rows_failed=quarantined,
            rows_new=new,
            rows_updated=updated,
            rows_unchanged=unchanged,
            rows_superseded=superseded,
            rows_quarantined=quarantined,
        )


def _landed() -> Column:
    return F.try_to_date(F.nullif(F.regexp_extract("source", r"/dt=(\d{4}-\d{2}-\d{2})/", 1), F.lit("")), "yyyy-MM-dd")


def _diagnose_all(raw: pa.Array) -> pa.Array:
    return pa.array([diagnose.diagnose(line) for line in raw.to_pylist()], pa.string())


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
