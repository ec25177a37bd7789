"""`evaluate`: grades in, metrics with intervals out, on Spark, in one pass over per-dialogue sums.

    grades --GROUP BY group, dialogue--> sums --per partition, numpy--> tallies --per group, add up--> metrics

The rollouts are only ever summed by Spark's own aggregates. Python sees one row per dialogue and group, holds the tally
of one group at a time, and hands on one row of it, so memory is flat in rollouts, dialogues and groups. A group's
dialogues are dealt out to a few tasks: on a large cluster, a thousand groups spread over all of it would be a tally (90
kB) for each group and task.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DoubleType, LongType, StringType, StructField, StructType

from l2a.errors import UsageError
from l2a.metrics.bootstrap import Tally, metrics_of
from l2a.metrics.definitions import SUMS

_HASH = "dialogue_hash"
_TASKS = 8  # at most so many tally the dialogues of one group: 10 million dialogues in about ten seconds
_TALLY_FIELDS = [StructField("sums", ArrayType(DoubleType())), StructField("dialogues", ArrayType(DoubleType()))]
_METRIC_FIELDS = [
    StructField("metric", StringType(), False),
    StructField("value", DoubleType()),
    StructField("n", LongType(), False),
    StructField("n_dialogues", LongType(), False),
    StructField("ci_low", DoubleType()),
    StructField("ci_high", DoubleType()),
    StructField("ungraded_share", DoubleType()),
]


def sums(grades: DataFrame, by: Sequence[str]) -> DataFrame:
    """One row per value of `by`: the columns `by` and those of SUMS, from which METRICS follow in SQL."""
    return grades.groupBy(*by).agg(*[F.expr(sql).alias(name) for name, sql in SUMS.items()])


def add_up(parts: DataFrame, by: Sequence[str]) -> DataFrame:
    """Rows of sums added up over the groups of `by`: again rows of sums."""
    return parts.groupBy(*by).agg(*[F.sum(name).alias(name) for name in SUMS])


def evaluate(grades: DataFrame, *, by: Sequence[str], beta: float = 2.0, replicates: int = 1000) -> DataFrame:
    """The seven metrics of each group with 95 % intervals over dialogues.

    grades: one row per graded rollout with session_id, target (the objective decision), decision (the policy's; null if
    the rollout failed), r_a and omega (null if the grade failed), and the columns `by` (any that can be sorted).
    Returns and raises what `evaluate_sums` does. The same grades give the same rows, however they are partitioned.
    """
    check(beta, replicates)
    return evaluate_sums(sums(grades, [*by, "session_id"]), by=by, beta=beta, replicates=replicates)


def evaluate_sums(dialogues: DataFrame, *, by: Sequence[str], beta: float = 2.0, replicates: int = 1000) -> DataFrame:
    """As `evaluate`, from one row per group and dialogue: the columns `by`, session_id, and those of SUMS.

    Returns by..., metric, value, n (rollouts), n_dialogues, ci_low, ci_high, ungraded_share; one row per group and
    metric, value and interval null where n is 0.
    Raises UsageError for a beta or a number of replicates that makes no sense.
    """
    check(beta, replicates)
    return _metrics(tallies(dialogues, by, replicates), by, beta, replicates)


def check(beta: float, replicates: int) -> None:
    """Raises UsageError for a beta or a number of replicates that makes no sense."""
    if not (np.isfinite(beta) and beta >= 0):
        raise UsageError(f"beta is {beta}: it must be a finite number, 0 or more.")
    if replicates < 2:
        raise UsageError(f"{replicates} bootstrap replicates: an interval needs at least 2, and 1000 to be steady.")


def tallies(dialogues: DataFrame, by: Sequence[str], replicates: int) -> DataFrame:
    """Partial bootstrap tallies: by..., sums, dialogues (flattened arrays); one or more rows a group, to be added up.

    dialogues: one row per group and dialogue, as `evaluate_sums` takes them. Replicate k weighs a dialogue alike in
    every group, so groups that share dialogues can be compared in pairs.
    """
    keys = list(by)
    schema = StructType([*(dialogues.schema[key] for key in keys), *_TALLY_FIELDS])
    rows = (
        dialogues.withColumn(_HASH, F.xxhash64("session_id"))
        .repartition(*keys, F.pmod(_HASH, F.lit(_TASKS)))
        .select(*keys, _HASH, *[F.col(name).cast("double").alias(name) for name in SUMS])
    )
    if keys:
        rows = rows.sortWithinPartitions(*keys)  # so that one group's tally is held at a time

    def tally(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return _tally_groups(batches, keys, replicates)

    return rows.mapInArrow(tally, schema)


def tally_of(table: pa.Table, replicates: int) -> Tally:
    """The rows of `tallies` of one group, added up."""
    total = Tally.empty(replicates)
    for sums_row, dialogues_row in zip(table.column("sums"), table.column("dialogues"), strict=True):
        total.add(
            Tally(
                sums_row.values.to_numpy().reshape(total.sums.shape),
                dialogues_row.values.to_numpy().reshape(total.dialogues.shape),
            )
        )
    return total


def _tally_groups(batches: Iterator[pa.RecordBatch], keys: list[str], replicates: int) -> Iterator[pa.RecordBatch]:
    current: pa.RecordBatch | None = None  # one row: the group's key columns
    total = Tally.empty(replicates)
    for batch in batches:
        hashes = batch.column(_HASH).to_numpy()
        values = np.column_stack([batch.column(name).to_numpy() for name in SUMS])
        for start, end in _runs(batch, keys):
            key = batch.select(keys).slice(start, 1)
            if current is not None and not key.equals(current):
                yield _tally_row(current, total)
                total = Tally.empty(replicates)
            current = key
            total.add_dialogues(hashes[start:end], values[start:end])
    if current is not None:
        yield _tally_row(current, total)


def _runs(batch: pa.RecordBatch, keys: list[str]) -> Iterator[tuple[int, int]]:
    """(start, end) of the runs of rows with equal keys."""
    changed = np.zeros(max(batch.num_rows - 1, 0), dtype=bool)
    for key in keys:
        codes = batch.column(key).dictionary_encode(null_encoding="encode").indices.to_numpy()
        changed |= codes[1:] != codes[:-1]
    edges = [0, *(np.flatnonzero(changed) + 1).tolist(), batch.num_rows]
    yield from ((start, end) for start, end in pairwise(edges) if end > start)


def _tally_row(key: pa.RecordBatch, tally: Tally) -> pa.RecordBatch:
    fields = {"sums": tally.sums, "dialogues": tally.dialogues}
    arrays = {name: pa.array([array.ravel()], pa.list_(pa.float64())) for name, array in fields.items()}
    columns = {name: key.column(name) for name in key.schema.names} | arrays
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _metrics(partial: DataFrame, keys: Sequence[str], beta: float, replicates: int) -> DataFrame:
    schema = StructType([*(partial.schema[key] for key in keys), *_METRIC_FIELDS])

    def finish(table: pa.Table) -> pa.Table:
        found = metrics_of(tally_of(table, replicates), beta)
        rows = pa.Table.from_pylist([asdict(metric) for metric in found], _METRIC_SCHEMA)
        first = pa.array([0] * rows.num_rows)
        key_columns = {key: table.column(key).take(first) for key in keys}
        return pa.table(key_columns | {name: rows.column(name) for name in rows.schema.names})

    return partial.groupBy(*keys).applyInArrow(finish, schema)


_METRIC_SCHEMA = pa.schema(
    [
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("n", pa.int64()),
        ("n_dialogues", pa.int64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("ungraded_share", pa.float64()),
    ]
)
