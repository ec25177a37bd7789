"""What the metrics are sliced by: the slices of a dialogue turn, and sums laid out once for each slice they are in.

| slice | slice_value |
|---|---|
| domain, expert | of the dialogue; `unknown` where the log does not say, `other` beyond the most frequent ones |
| month | YYYY-MM (UTC) in which the dialogue last changed, else in which it landed; `unknown` without either |
| turn_number | 1, 2, 3, 4, 5, 6+ |
| after_first_turn | `false` for a dialogue's first turn, `true` for the others |
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from l2a.metrics.definitions import SUMS
from l2a.metrics.evaluate import add_up

CELL = ("condition", "split", "domain", "expert", "month", "turn_number")
"""What the cube of sums is cut by."""

EVERYTHING = "all"
"""The one slice that holds all rows: what stands in `metrics`."""

SLICES = ("domain", "turn_number", "after_first_turn", "expert", "month")
UNKNOWN, OTHER = "unknown", "other"
LAST_TURN = 6  # this one and later ones are one slice: they get rare


def places(dialogues: DataFrame, sessions: DataFrame, most: int) -> DataFrame:
    """session_id, domain, expert, month of each session, none of them null.

    dialogues: session_id, domain, expert, updated_at, landed. sessions: session_id, distinct. most: so many domains and
    experts are told apart, those with most of these sessions (then by name): there may be as many experts as dialogues.
    """
    day = F.coalesce(F.col("updated_at"), F.col("landed").cast("timestamp"))
    found = sessions.join(dialogues, "session_id", "left").select(
        "session_id",
        F.coalesce("domain", F.lit(UNKNOWN)).alias("domain"),
        F.coalesce("expert", F.lit(UNKNOWN)).alias("expert"),
        F.coalesce(F.date_format(day, "yyyy-MM"), F.lit(UNKNOWN)).alias("month"),
    )
    return _capped(_capped(found, "domain", most), "expert", most)


def _capped(rows: DataFrame, name: str, most: int) -> DataFrame:
    """`rows` with all but the `most` most frequent values of a column as `other`; `unknown` stays, uncounted."""
    counts = rows.where(F.col(name) != UNKNOWN).groupBy(name).count()
    kept = counts.orderBy(F.col("count").desc(), name).limit(most).select(F.col(name).alias("_kept"))
    joined = rows.join(F.broadcast(kept), F.col(name).eqNullSafe(F.col("_kept")), "left")
    known = F.when((F.col(name) == UNKNOWN) | F.col("_kept").isNotNull(), F.col(name)).otherwise(OTHER)
    return joined.withColumn(name, known).drop("_kept")


def turn_number(turn: Column) -> Column:
    """string: the slice value of a turn's number."""
    return F.when(turn < LAST_TURN, turn.cast("string")).otherwise(f"{LAST_TURN}+")


def by_slice(parts: DataFrame) -> DataFrame:
    """Sums of each condition, slice, slice_value and dialogue, EVERYTHING among the slices.

    parts: sums per condition, session_id and turn, with the dialogue's domain, expert and month.
    """
    values = {
        EVERYTHING: F.lit(EVERYTHING),
        "domain": F.col("domain"),
        "turn_number": turn_number(F.col("turn")),
        "after_first_turn": (F.col("turn") > 1).cast("string"),
        "expert": F.col("expert"),
        "month": F.col("month"),
    }
    pairs = [F.struct(F.lit(name).alias("slice"), value.alias("slice_value")) for name, value in values.items()]
    laid_out = parts.withColumn("_in", F.explode(F.array(*pairs))).select("condition", "_in.*", "session_id", *SUMS)
    return add_up(laid_out, ["condition", "slice", "slice_value", "session_id"])


def cube(parts: DataFrame) -> DataFrame:
    """One row per CELL that has rollouts: its sums, and `dialogues`, which do not add up over cells.

    parts: as `by_slice` takes them, with the split.
    """
    cells = parts.withColumn("turn_number", turn_number(F.col("turn"))).groupBy(*CELL)
    counted = [F.sum(name).alias(name) for name in SUMS]
    return cells.agg(F.countDistinct("session_id").alias("dialogues"), *counted)
