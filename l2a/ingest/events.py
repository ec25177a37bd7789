"""Event logs: one message a row, gathered by session into dialogues.

A session may be spread over files and over nights. What is known of it already is taken in again, so that a dialogue
grows; an event that is known already adds nothing.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from l2a.ingest.classify import PLACE

KEPT = ("domain", "goal", "outcome", "expert")
WORDS = (*KEPT, "group")
COLUMNS = (*PLACE, "landed", "session_id", "message", "updated_at", *WORDS)
"""What an event is to the functions here."""

BY_TIME = "by_time"
_KNOWN = ""
"""The source of the messages that are known: it comes before every file."""


def gather(events: DataFrame, known: DataFrame) -> DataFrame:
    """Event rows into one row per session, in the columns of a parsed document.

    events: COLUMNS, and `position` where the row waits in quarantine (null: it comes from this run's files).
    known: the dialogues table, of which the sessions that get new events are taken.

    Whichever part of a session comes first, the outcome is one: the words of its last part count, by order and not by
    arrival, and its times are the latest of all. (A part that comes late and lies between two others changes no word
    that is known; of groups, which a session's events should not change, the last to come that is named counts.)
    Its place is that of the first of the rows that are read now.

    Columns beside those of a document: `known_version`, `known_updated_at`, `known_landed` and `known_split` of the
    dialogue that the session was gathered onto (null: none), and `waited`: source and position of its events that came
    from quarantine.
    """
    row = F.struct(*PLACE, "position", "updated_at", "landed", "message", *WORDS)
    said = events.groupBy("session_id").agg(F.collect_list(row).alias("rows"))
    before = known.join(said.select("session_id"), "session_id", "left_semi")
    rows = F.col("rows")
    read_now = F.filter(rows, lambda row: row["position"].isNull())
    told = (
        said.join(_messages(events, before), "session_id")
        .withColumn("rows", _sorted(rows))
        .select(
            "session_id",
            "messages",
            BY_TIME,
            *[_last_word(rows, name).alias(name) for name in WORDS],
            F.coalesce(F.array_max(rows["updated_at"]), F.array_max(rows["message"]["ts"])).alias("updated_at"),
            *[F.get(read_now, F.lit(0))[name].alias(name) for name in PLACE],
            F.array_max(rows["landed"]).alias("landed"),
            F.array_max(F.transform(rows["message"], _order)).alias("last"),
            F.transform(
                F.filter(rows, lambda row: row["position"].isNotNull()),
                lambda row: F.struct(row["source"].alias("source"), row["position"].alias("position")),
            ).alias("waited"),
        )
    )
    joined = told.join(
        before.select(
            "session_id",
            F.col("messages").alias("old_messages"),
            F.col("dialogue_version").alias("known_version"),
            *[F.col(name).alias(f"known_{name}") for name in ("split", "updated_at", "landed")],
            *[F.col(name).alias(f"old_{name}") for name in KEPT],
        ),
        "session_id",
        "left",
    )
    older = F.col("last") < F.array_max(F.transform("old_messages", _order))
    return joined.select(
        "session_id",
        *PLACE,
        "group",
        *[
            F.when(older, F.coalesce(f"old_{name}", name)).otherwise(F.coalesce(name, f"old_{name}")).alias(name)
            for name in KEPT
        ],
        *[F.greatest(name, f"known_{name}").alias(name) for name in ("updated_at", "landed")],
        "known_version",
        "known_updated_at",
        "known_landed",
        "known_split",
        "waited",
        "messages",
    )


def _last_word(rows: Column, name: str) -> Column:
    """The last event that says it wins: an outcome is often known only at the end."""
    said = F.filter(rows, lambda row: row[name].isNotNull())
    return F.try_element_at(said, F.lit(-1))[name]


def _messages(events: DataFrame, before: DataFrame) -> DataFrame:
    """Each session's messages, each once, in order, and whether that is the order of their times.

    Ties stay in the order in which they came. What is known counts as one more file, which came first.
    """
    old = before.select("session_id", F.posexplode("messages").alias("at", "message")).select(
        "session_id",
        "message",
        F.lit(_KNOWN).alias("source"),
        F.lit(0).cast("bigint").alias("block"),
        F.col("at").cast("bigint").alias("place"),
    )
    # All that follows is by session, so one move of the rows serves it.
    said = old.unionByName(events.select(*old.columns)).repartition("session_id")
    # A number names an event. A time does not: what a file says twice at a time was said twice, and another file that
    # says as much adds nothing.
    again = F.row_number().over(Window.partitionBy("session_id", "source", "message").orderBy("block", "place"))
    once = F.col("message.seq").isNotNull() & (F.col("source") != _KNOWN)
    said = said.withColumn("again", F.when(once, F.lit(1)).otherwise(again))
    first = said.groupBy("session_id", "message", "again").agg(F.min(F.struct(*PLACE)).alias("at"))
    numbered, timed = [F.bool_and(F.col(f"message.{name}").isNotNull()) for name in ("seq", "ts")]
    whole = first.groupBy("session_id").agg(
        F.collect_list(F.struct("at", "message")).alias("messages"), (~numbered & timed).alias(BY_TIME)
    )
    return whole.withColumn("messages", _sorted(F.col("messages"))["message"])


def _sorted(rows: Column) -> Column:
    """Structs that hold a message, in the order of their messages, then by all that they hold."""
    placed = F.transform(rows, lambda row: F.struct(_order(row["message"]).alias("order"), row.alias("row")))
    return F.array_sort(placed)["row"]


def _order(message: Column) -> Column:
    """By number. Numbers and times are two scales: a session of which some messages have no number goes by time."""
    time = F.unix_micros(message["ts"])
    return F.when(F.col(BY_TIME), time).otherwise(F.coalesce(message["seq"], time))
