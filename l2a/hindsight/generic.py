"""What experts of a domain ask of everyone, whatever was said before: found from the objectives of its train dialogues.

Such items invite reward hacking (arXiv 2510.25441, section 4.2.3, keeps them out of I*_t): a policy that always asks
for them is paid without having read anything. Two figures tell them from what is worth asking:

- `asked_share`: of the domain's dialogues, those in which the attribute is supplied after the opening. High: it is
  asked of everyone.
- `context_effect`: how much the chance that it is still to be supplied at a turn changes with the attribute that was
  supplied last: the mean, over turns, of |share among the turns after that attribute - share among all turns|. It lies
  between 0 (what came last tells nothing) and .5. The first question of a form is asked of everyone, too; but once it
  is answered, asking again pays nothing, so its effect is large. Small: the question pays at nearly every turn.

Few turns behind an attribute make its shares differ by chance, and so the effect larger: what is rare errs on the side
of being kept.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pyspark.sql import DataFrame, Row, Window
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from l2a.hindsight.objective import attribute
from l2a.judge.embedded.extractor import OTHER

LISTED = 0.5
"""Attributes with a smaller asked_share are far from being asked of everyone and are not listed, unless named."""
PLACES = 6
"""Decimals of a figure: sums over partitions end alike in every run."""
_LISTED = ("domain", "attribute", "dialogues", "turns", "asked", "still")


def figures(
    objectives: DataFrame, named: Collection[tuple[str, str]] = (), min_dialogues: int = 1
) -> list[dict[str, Any]]:
    """The figures of each listed attribute, in columns of `generic_attributes`; few enough for the driver.

    min_dialogues: smaller domains, of which there may be as many as dialogues, are not looked at, unless named.
    objectives: rows of one extractor's `objectives` with status ok, of train dialogues, with their domain (not null):
    domain, session_id, turn, supplied, dropped_reason. named: (domain, attribute) that are listed whatever their share.
    """
    # A dialogue of which only the final turn has an objective says nothing.
    supplies = F.size("supplied") > 0
    told = objectives.where(supplies | F.col("dropped_reason").isNotNull())
    turns = _turns(told.where(supplies)).persist(StorageLevel.DISK_ONLY)
    # Three small plans: as one, in which each part stands several times, Spark plans for longer than it counts.
    try:
        counted = told.groupBy("domain").agg(
            F.count_distinct("session_id").alias("dialogues"), F.count_if(supplies).alias("turns")
        )
        large = (F.col("dialogues") >= min_dialogues) | F.col("domain").isin(sorted({domain for domain, _ in named}))
        domains = _again(counted, counted.where(large).collect())
        asked = turns.select("domain", "session_id", "last", F.explode("attributes").alias("attribute"))
        listed = _listed(asked, domains, named)
        rows = listed.collect()
        return [row.asDict() for row in _figures(turns, asked, _again(listed, rows)).collect()] if rows else []
    finally:
        turns.unpersist()


def _again(few: DataFrame, rows: list[Row]) -> DataFrame:
    """Rows that were collected, without the plan that they came of, for a join that moves nothing else."""
    return F.broadcast(few.sparkSession.createDataFrame(rows, few.schema))


def _listed(asked: DataFrame, domains: DataFrame, named: Collection[tuple[str, str]]) -> DataFrame:
    """domain, attribute, dialogues, turns, asked (dialogues), still (turns) of what is asked of many, or named."""
    wanted = F.concat_ws("\x1f", "domain", "attribute").isin([f"{d}\x1f{a}" for d, a in sorted(named)])
    return (
        asked.groupBy("domain", "attribute")
        .agg(F.count_distinct("session_id").alias("asked"), F.count("*").alias("still"))
        .join(domains, "domain")
        .where(((F.col("asked") / F.col("dialogues") >= LISTED) & (F.col("attribute") != OTHER)) | wanted)
        .select(*_LISTED)
    )


def _figures(turns: DataFrame, asked: DataFrame, listed: DataFrame) -> DataFrame:
    overall = F.col("still") / F.col("turns")
    after = turns.groupBy("domain", "last").agg(F.count("*").alias("turns_after"))
    apart = (
        asked.join(listed, ["domain", "attribute"])
        .groupBy(*_LISTED, "last")
        .agg(F.count("*").alias("still_after"))
        .join(after, ["domain", "last"])
        .groupBy(*_LISTED)
        .agg(
            F.sum(F.abs(F.col("still_after") - F.col("turns_after") * overall)).alias("apart"),
            F.sum("turns_after").alias("met"),
        )
    )
    # After an attribute that it never followed, the share is 0.
    effect = (F.col("apart") + overall * (F.col("turns") - F.col("met"))) / F.col("turns")
    return apart.select(
        "domain",
        "attribute",
        "dialogues",
        "turns",
        F.round(F.col("asked") / F.col("dialogues"), PLACES).alias("asked_share"),
        F.round(overall, PLACES).alias("hit_share"),
        F.round(effect, PLACES).alias("context_effect"),
    )


def _turns(told: DataFrame) -> DataFrame:
    """domain, session_id, attributes still to be supplied, and `last`: the one supplied last before, or ''."""
    in_order = Window.partitionBy("session_id").orderBy("turn")
    attributes = told.withColumn("attributes", F.array_distinct(F.transform("supplied", attribute)))
    brought = F.array_except(F.lag("attributes").over(in_order), F.col("attributes"))
    newest = attributes.withColumn("brought", F.when(F.size(brought) > 0, F.element_at(brought, -1)))
    last = F.last("brought", ignorenulls=True).over(in_order)
    return newest.select("domain", "session_id", "attributes", F.coalesce(last, F.lit("")).alias("last"))
