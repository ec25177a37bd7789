"""Built-in conditions that need no model: `expert` says what the expert said, `random` draws from what experts say."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from l2a.dialogue.types import STOP_MARK
from l2a.dialogue.utterance_columns import questions_column

POOL_SIZE = 2_000
"""`random` draws from at most so many questions a domain."""

ANY_DOMAIN = ""
"""Where a domain asks nothing in the train split, `random` draws from all questions."""

_PARTS = 1_000_000


def utterance(messages: Column, start: Column, count: Column) -> Column:
    """What the expert says in `count` messages from `start` on, one message a line; null where nobody speaks there."""
    spoken = F.filter(F.slice(messages, start + 1, count), lambda m: m["role"] == "assistant")
    return F.when(F.size(spoken) > 0, F.array_join(spoken["content"], "\n"))


def expert(turns: DataFrame) -> DataFrame:
    """The expert's own utterance of each turn, the mark at the final one: adds sample, text, error, model_version.

    turns: session_id, turn, is_final, context_end, utterance_messages, messages, ...
    """
    said = utterance(F.col("messages"), F.col("context_end"), F.col("utterance_messages"))
    return turns.withColumns(
        {
            "sample": F.lit(0),
            "text": F.when(F.col("is_final"), F.lit(STOP_MARK)).otherwise(said),
            "error": F.lit(None).cast("string"),
            "model_version": F.lit("logs"),
        }
    )


def questions(train: DataFrame) -> DataFrame:
    """The pool that `random` draws from: domain, place (1, 2, ...), text; `ANY_DOMAIN` holds questions of all domains.

    train: usable turns of the train split, in the columns of `expert`. A question is in as often as it was asked.
    """
    said = utterance(F.col("messages"), F.col("context_end"), F.col("utterance_messages"))
    asked = (
        train.where("NOT is_final")
        .select("session_id", "turn", _domain().alias("domain"), said.alias("text"))
        .where(questions_column(F.col("text")) > 0)
    )
    everywhere = asked.withColumn("domain", F.lit(ANY_DOMAIN))
    drawn = Window.partitionBy("domain").orderBy(F.xxhash64("session_id", "turn"), "session_id", "turn")
    both = asked.where(F.col("domain") != ANY_DOMAIN).unionByName(everywhere)
    placed = both.withColumn("place", F.row_number().over(drawn)).where(F.col("place") <= POOL_SIZE)
    return placed.select("domain", "place", "text")


def stop_shares(train: DataFrame) -> DataFrame:
    """Per domain, and for `ANY_DOMAIN`, the share of train turns at which the expert stops: domain, stop_share."""
    ends = train.select(_domain().alias("domain"), F.col("is_final").cast("double").alias("stop"))
    both = ends.where(F.col("domain") != ANY_DOMAIN).unionByName(ends.withColumn("domain", F.lit(ANY_DOMAIN)))
    return both.groupBy("domain").agg(F.avg("stop").alias("stop_share"))


def random(turns: DataFrame, train: DataFrame, samples: int) -> DataFrame:
    """`samples` draws for each turn, the same in every run over the same logs: adds the columns that `expert` adds."""
    pool = questions(train).persist()
    version = pool.agg(F.hex(F.bit_xor(F.xxhash64("domain", "place", "text"))).alias("version"))
    sizes = pool.groupBy("domain").agg(F.count("*").alias("size"))
    shares = stop_shares(train).join(sizes, "domain", "left")
    fallback = shares.where(F.col("domain") == ANY_DOMAIN).select(
        F.col("stop_share").alias("any_share"), F.col("size").alias("any_size")
    )
    drawn = (
        turns.withColumn("sample", F.explode(F.sequence(F.lit(0), F.lit(samples - 1))))
        .withColumn("domain_key", _domain())
        .join(shares.withColumnRenamed("domain", "domain_key"), "domain_key", "left")
        .join(F.broadcast(fallback), how="left")
        .join(F.broadcast(version), how="left")
    )
    key = ("session_id", "turn", "sample")
    chance = F.pmod(F.xxhash64(*key, F.lit("stop")), F.lit(_PARTS)) / _PARTS
    size = F.coalesce("size", "any_size")
    from_pool = F.when(F.col("size").isNull(), F.lit(ANY_DOMAIN)).otherwise(F.col("domain_key"))
    drawn = drawn.withColumns(
        {
            "stops": chance < F.coalesce("stop_share", "any_share"),
            "pool_domain": from_pool,
            "place": (F.pmod(F.xxhash64(*key, F.lit("question")), size) + 1).cast("int"),
        }
    )
    asked = pool.select(F.col("domain").alias("pool_domain"), "place", F.col("text").alias("question"))
    text = F.when(F.col("stops"), F.lit(STOP_MARK)).otherwise(F.col("question"))
    nothing = "no expert asks a question in the train split: there is nothing to draw from"
    # There may be as many domains as dialogues: Spark knows whether they are few enough to be sent around.
    return drawn.join(asked, ["pool_domain", "place"], "left").withColumns(
        {
            "text": text,
            "error": F.when(text.isNull(), F.lit(nothing)),
            "model_version": F.concat(F.lit("train-"), F.lower(F.coalesce("version", F.lit("none")))),
        }
    )


def _domain() -> Column:
    return F.coalesce("domain", F.lit(ANY_DOMAIN))
