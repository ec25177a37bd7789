"""LLM calls of a step: requests in, answers in `llm_calls`, each paid for once.

What is found in `llm_calls` is not asked again. The rest is spread over Spark's tasks by dialogue, each task one
asyncio client (l2a.llm), and every answer lies in the spool (l2a.llm.spool) within `flush_seconds`. The driver merges
the spool into the table when the tasks are done; what a dead run left there is merged first. Nothing that grows with
the requests passes through the driver.
"""

from __future__ import annotations

import datetime as dt
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel
from tenacity import retry, retry_if_exception, stop_after_attempt, wait_fixed

from l2a.errors import L2AError
from l2a.llm import errors, spool
from l2a.llm.errors import JobStopped
from l2a.settings.llm import LLMSettings
from l2a.tables.contract import Contract
from l2a.tables.contracts import LLM_CALLS
from l2a.tables.warehouse import Warehouse
from spark_jobs.asking import asker
from spark_jobs.progress import showing

DEAD_AFTER_SECONDS = 300
"""A run at work writes at least every few seconds; one that wrote nothing for so long is over, and what it left is
merged and removed. What a younger one left is merged only: it may be at work, and its tasks look into their files."""


@dataclass(frozen=True)
class Paid:
    """What the requests of a step took: rows that asked for a call, requests asked, and their tokens."""

    rows: int = 0
    asked: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def counts(self) -> dict[str, int]:
        """As the columns of `runs` that tell it."""
        return {
            "calls_paid": self.asked,
            "calls_saved": self.rows - self.asked,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "completion_tokens": self.completion_tokens,
        }


def answer(warehouse: Warehouse, requests: DataFrame, settings: LLMSettings) -> Paid:
    """Leaves a row in `llm_calls` for every request; the same one may come many times.

    requests: columns request_id (its address), request (as ChatRequest.to_json writes it), and what orders the calls:
    session_id, turn, sample.
    Raises JobStopped when the job has to stop; everything finished until then is in the table.
    """
    warehouse.ensure(LLM_CALLS)
    drain(warehouse)
    rows = requests.count()
    waiting = unanswered(warehouse, distinct(requests), settings.max_runs).persist(StorageLevel.DISK_ONLY)
    try:
        total = waiting.count()
        return _ask(warehouse, waiting, settings, rows, total) if total else Paid(rows)
    finally:
        waiting.unpersist()


def distinct(requests: DataFrame) -> DataFrame:
    """Each request once, for the first dialogue, turn and sample that needs it."""
    first = F.min(F.struct("session_id", "turn", "sample", "request")).alias("first")
    return requests.groupBy("request_id").agg(first).select("request_id", "first.*")


def unanswered(warehouse: Warehouse, calls: DataFrame, max_runs: int) -> DataFrame:
    """Those of `calls` (column request_id) that have no answer yet and have not failed in `max_runs` runs."""
    there = warehouse.read_or_empty(LLM_CALLS)
    settled = there.where((F.col("status") == "ok") | (F.size("tried_in") >= max_runs))
    return calls.join(settled.select("request_id"), "request_id", "left_anti")


def retryable(warehouse: Warehouse, contract: Contract, within: str, max_runs: int, since: dt.datetime) -> DataFrame:
    """Sessions of a step's failed rows (SQL condition `within`) whose call is to be tried again, or was answered after
    the step last ended, `since`: for other rows, or in a run that was stopped. Column session_id.
    """
    failed = warehouse.read_or_empty(contract).where(f"status = 'failed' AND request_id IS NOT NULL AND ({within})")
    calls = warehouse.read_or_empty(LLM_CALLS).where(
        F.when(F.col("status") == "ok", F.col("created_at") > since).otherwise(F.size("tried_in") < max_runs)
    )
    return failed.join(calls.select("request_id"), "request_id").select("session_id").distinct()


def _ask(warehouse: Warehouse, waiting: DataFrame, settings: LLMSettings, rows: int, total: int) -> Paid:
    run = uuid.uuid4().hex
    spark = warehouse.spark
    # As many tasks as run at once: each keeps its share of the ceiling busy, none waits for another to end.
    tasks = max(1, min(spark.sparkContext.defaultParallelism, settings.max_in_flight, total))
    spread = waiting.repartition(tasks, "session_id").sortWithinPartitions("session_id", "turn", "sample")
    place = spool.Spool(warehouse.root, run)
    place.tell_alive()
    try:
        with _shown(place, total):
            spread.mapInArrow(asker(warehouse.root, run, settings, tasks), "stored bigint").agg(
                F.sum("stored")
            ).collect()
    finally:
        paid = drain(warehouse, own=run, rows=rows)
    stopped = place.stopped()
    if stopped is None and paid.asked < total:
        # A step must not take a request without a row for an answer that says nothing.
        raise L2AError(
            f"{total - paid.asked:,} of {total:,} requests have no row although their tasks ended: do all executors "
            f"write to {warehouse.root}/{spool.FOLDER}? A path without a scheme must be a folder that all machines "
            "share. Run the step again: what was answered is kept."
        )
    spool.remove(warehouse.root, run)
    if stopped is not None:
        name, message = stopped
        error = getattr(errors, name, JobStopped)(message)
        error.counts = {**paid.counts(), "calls_saved": 0}  # no row was written, so none was spared its call
        raise error
    return paid


@contextmanager
def _shown(place: spool.Spool, total: int) -> Iterator[None]:
    """Shows the tasks' counters while they are at work, and keeps the run's place in the spool young."""
    started = time.monotonic()

    def look() -> tuple[int, int, str]:
        place.tell_alive()
        told = place.told()
        return told.done, total, told.line(time.monotonic() - started, total)

    with showing(look):
        yield


def drain(warehouse: Warehouse, own: str | None = None, rows: int = 0) -> Paid:
    """Merges what lies in the spool into `llm_calls`, and removes what dead runs left; what the run `own` paid.

    Merging the same rows again changes nothing, in any order and by any process.
    """
    runs = spool.runs(warehouse.root)
    filled = [run for run in runs if spool.has_rows(warehouse.root, run)]
    paid = _merge(warehouse, own, rows) if filled else Paid(rows)
    for run, quiet_seconds in runs.items():
        # What has rows goes only after they were read.
        if run != own and quiet_seconds > DEAD_AFTER_SECONDS and (paid is not None or run not in filled):
            spool.remove(warehouse.root, run)
    return paid or Paid(rows)


def _vanished(error: BaseException) -> bool:
    """Another process had merged these files and removed them while we read them."""
    signs = ("FileNotFoundException", "FILE_NOT_EXIST", "PATH_NOT_FOUND")
    return isinstance(error, (PySparkException, Py4JJavaError)) and any(sign in str(error) for sign in signs)


@retry(retry=retry_if_exception(_vanished), stop=stop_after_attempt(5), wait=wait_fixed(0.5), reraise=True)
def _merge(warehouse: Warehouse, own: str | None, rows: int) -> Paid | None:
    """None: there was no file to read."""
    # The folders below the root are found by a pattern; the root's own name is none.
    root = re.sub(r"([\[\]{}*?\\])", r"\\\1", warehouse.root)
    files = f"{root}/{spool.FOLDER}/*/task-*/part-*.parquet"
    try:
        stored = warehouse.spark.read.schema(_ddl()).parquet(files)
    except PySparkException as error:
        if "PATH_NOT_FOUND" in str(error) and own is None:
            return None
        raise
    names = [name for name in LLM_CALLS.column_names if name != "tried_in"]
    # An answer beats a failure, then the newest wins.
    best = F.max_by(F.struct(*names), F.struct("status", "created_at")).alias("best")
    tried_in = F.array_sort(F.collect_set("run")).alias("tried_in")
    warehouse.upsert(
        LLM_CALLS,
        stored.groupBy("request_id").agg(best, tried_in).select("best.*", "tried_in"),
        only_if="t.status = 'failed' AND (s.status = 'ok' OR s.created_at >= t.created_at)",
        combine={"tried_in": "array_union(t.tried_in, s.tried_in)"},
        unique=True,
    )
    if own is None:
        return Paid(rows)
    mine = stored.where(F.col("run") == own).dropDuplicates(["request_id"])
    tokens = ("prompt_tokens", "cached_tokens", "completion_tokens")
    sums = mine.agg(F.count("*").alias("asked"), *(F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in tokens))
    found = sums.first()
    assert found is not None
    return Paid(rows, **found.asDict())


def _ddl() -> str:
    columns = [f"`{c.name}` {c.type}" for c in LLM_CALLS.columns if c.name != "tried_in"]
    return ", ".join(["`run` string", *columns])
