"""Event logs: one message a row, gathered by session into dialogues.

A session may be spread over files and over nights. What is known of it already is taken in again, so that a dialogue
grows; an event that is known already adds nothing.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

KEPT = ("domain", "goal", "outcome", "expert")
WORDS = (*KEPT, "group")


def gather(events: DataFrame, known: DataFrame) -> DataFrame:
    """Good event rows into one row per session, in the columns of a parsed document.

    events: columns source, block, place, landed, session_id, message, order, updated_at, and the words.
    known: the dialogues table, of which the sessions that get new events are taken.

    Whichever part of a session comes first, the outcome is one: the words of its last event count, by order and not by
    arrival, and its times are the latest of all. Column `known_split` is the split that it has already (null: none).
    """
    here = events.groupBy("session_id").agg(
        F.array_sort(
            F.collect_list(F.struct("order", "source", "block", "place", "message", "updated_at", "landed", *WORDS))
        ).alias("rows")
    )
    rows = F.col("rows")
    gathered = here.select(
        "session_id",
        *[_last_word(rows, name).alias(name) for name in WORDS],
        F.coalesce(F.array_max(rows["updated_at"]), F.array_max(rows["message"]["ts"])).alias("updated_at"),
        *[F.get(rows, F.lit(0))[name].alias(name) for name in ("source", "block", "place")],
        F.array_max(rows["landed"]).alias("landed"),
        rows["message"].alias("new"),
    )
    before = known.select(
        "session_id",
        F.col("messages").alias("old"),
        F.col("split").alias("known_split"),
        *[F.col(name).alias(f"old_{name}") for name in ("updated_at", "landed", *KEPT)],
    ).join(gathered.select("session_id"), "session_id", "left_semi")
    joined = gathered.join(before, "session_id", "left")
    everything = F.array_distinct(
        F.concat(F.coalesce("old", F.array().cast("array<void>").cast(_type(known))), F.col("new"))
    )
    older = _last_order(F.col("new")) < _last_order(F.col("old"))
    return joined.select(
        "session_id",
        "source",
        "block",
        "place",
        "group",
        *[
            F.when(older, F.coalesce(f"old_{name}", name)).otherwise(F.coalesce(name, f"old_{name}")).alias(name)
            for name in KEPT
        ],
        *[F.greatest(name, f"old_{name}").alias(name) for name in ("updated_at", "landed")],
        "known_split",
        _ordered(everything).alias("messages"),
    )


def _type(known: DataFrame) -> str:
    return known.schema["messages"].dataType.simpleString()


def _last_word(rows: Column, name: str) -> Column:
    """The last event that says it wins: an outcome is often known only at the end."""
    said = F.filter(rows, lambda row: row[name].isNotNull())
    return F.try_element_at(said, F.lit(-1))[name]


def _ordered(messages: Column) -> Column:
    """By sequence number, or by time where there is none; ties stay in the order in which they came."""
    keyed = F.transform(messages, lambda m, i: F.struct(_order(m).alias("order"), i.alias("came"), m.alias("message")))
    return F.array_sort(keyed)["message"]


def _order(message: Column) -> Column:
    return F.coalesce(message["seq"], F.unix_micros(message["ts"]))


def _last_order(messages: Column) -> Column:
    return F.array_max(F.transform(messages, _order))


def without_user(dialogues: DataFrame) -> DataFrame:
    """Sessions in which no user speaks: one column, session_id."""
    return dialogues.where(~F.exists("messages", lambda m: m["role"] == "user")).select("session_id")
