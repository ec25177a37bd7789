"""Paired differences on Spark: every condition beside a baseline, on the dialogues and turns that both answered.

A turn counts for a pair where both conditions have a rollout that decided something; what else a condition was asked
stays out, so that two conditions that were rolled out on different dialogues are still compared like with like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

from l2a.metrics.bootstrap import COUNTED
from l2a.metrics.definitions import SUMS
from l2a.metrics.evaluate import add_up, check, tallies, tally_of
from l2a.metrics.paired import differences

_SCHEMA = StructType(
    [
        StructField("condition", StringType(), False),
        StructField("metric", StringType(), False),
        StructField("difference", DoubleType()),
        StructField("ci_low", DoubleType()),
        StructField("ci_high", DoubleType()),
        StructField("n_dialogues", LongType(), False),
        StructField("called", StringType(), False),
        StructField("value", DoubleType()),
        StructField("baseline_value", DoubleType()),
    ]
)
_TYPES = {"string": pa.string(), "bigint": pa.int64(), "double": pa.float64()}
_ARROW = pa.schema([(field.name, _TYPES[field.dataType.simpleString()]) for field in _SCHEMA])


def compare(parts: DataFrame, *, baseline: str, beta: float = 2.0, replicates: int = 1000) -> DataFrame:
    """The differences of all conditions to `baseline`: condition, and the columns of `paired.Difference`.

    parts: sums per condition, session_id and turn. Every other condition has its seven rows, also where nothing is in
    common. Raises UsageError for a beta or a number of replicates that makes no sense.
    """
    check(beta, replicates)
    dialogues = _pairs(parts, baseline)
    sides = [_side(number, name) for number, name in enumerate(("mine", "theirs"))]
    laid_out = dialogues.withColumn("_side", F.explode(F.array(*sides))).select("condition", "session_id", "_side.*")
    partial = tallies(laid_out, ["condition", "side"], replicates).join(_in_common(dialogues), "condition")

    def finish(table: pa.Table) -> pa.Table:
        one, other = (tally_of(table.filter(pc.equal(table["side"], n)), replicates) for n in (0, 1))
        common = np.array(table["in_common"][0].as_py())
        condition = table["condition"][0].as_py()
        rows = [{"condition": condition, **asdict(found)} for found in differences(one, other, common, beta)]
        return pa.Table.from_pylist(rows, _ARROW)

    return partial.groupBy("condition").applyInArrow(finish, _SCHEMA)


def _pairs(parts: DataFrame, baseline: str) -> DataFrame:
    """condition, session_id, `mine` and `theirs`: structs of sums over the turns in common, 0 where there are none."""
    key = ["session_id", "turn"]
    answered = add_up(parts, ["condition", *key]).where("n > 0")
    theirs = answered.where(F.col("condition") == baseline).select(*key, F.struct(*SUMS).alias("theirs"))
    mine = answered.where(F.col("condition") != baseline).select("condition", *key, F.struct(*SUMS).alias("mine"))
    both = mine.join(theirs, key, "left")

    def summed(side: str) -> Column:
        columns = [_sum_where_paired(side, name) for name in SUMS]
        return F.struct(*columns).alias(side)

    return both.groupBy("condition", "session_id").agg(summed("mine"), summed("theirs"))


def _sum_where_paired(side: str, name: str) -> Column:
    paired = F.when(F.col("theirs").isNotNull(), F.col(f"{side}.{name}")).otherwise(0)
    return F.sum(paired.cast("double")).alias(name)


def _side(number: int, name: str) -> Column:
    return F.struct(F.lit(number).alias("side"), *[F.col(f"{name}.{column}").alias(column) for column in SUMS])


def _in_common(dialogues: DataFrame) -> DataFrame:
    """condition, in_common: for each of COUNTED, the dialogues in which both sides have some."""
    return dialogues.groupBy("condition").agg(F.array(*_both_counted(COUNTED)).alias("in_common"))


def _both_counted(names: Sequence[str]) -> list[Column]:
    return [F.count_if((F.col(f"mine.{name}") > 0) & (F.col(f"theirs.{name}") > 0)) for name in names]
