"""Writes objectives without what is asked of everyone, and the list of it (`generic_attributes`).

The list is a function of all train objectives of an extractor, so that nights in any order end in the same tables. New
turns may change it: then the objectives of the domains in question are filtered anew from their column `supplied`, in
the same commit; nothing is extracted again for that.
"""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from l2a.hindsight import objective
from l2a.hindsight.decide import Overrules, decided
from l2a.hindsight.generic import figures
from l2a.progress import say
from l2a.settings import ObjectiveSettings
from l2a.tables.contracts import DIALOGUES, GENERIC_ATTRIBUTES, OBJECTIVES
from l2a.tables.warehouse import Warehouse, sql_text

Generic = dict[str, list[str]]
"""Generic attributes by domain."""
UNKNOWN = "unknown"


def keep_out_generic(
    warehouse: Warehouse,
    extractor: str,
    read: DataFrame,
    scope: DataFrame | None,
    settings: ObjectiveSettings,
    overrules: Overrules,
) -> DataFrame:
    """Makes `read` all that `objectives` holds of this extractor for the sessions in scope, without generic items.

    read: rows of OBJECTIVES without what follows from `supplied`, and is_final. scope: as for `Warehouse.replace`.
    Returns the rows of `read` as they were written, persisted.
    """
    mine = f"extractor = {sql_text(extractor)}"
    dialogues = warehouse.read(DIALOGUES).select(
        "session_id", "dialogue_version", F.coalesce("domain", F.lit(UNKNOWN)).alias("domain"), "split"
    )
    known = ["session_id", "dialogue_version"]
    read = read.join(dialogues, known).persist(StorageLevel.DISK_ONLY)
    there = None
    if scope is not None:
        there = warehouse.read(OBJECTIVES).where(mine).join(scope, "session_id", "left_anti").join(dialogues, known)
        # Rows of an older l2a have nothing left out.
        there = there.withColumn("supplied", F.coalesce("supplied", "information"))
    listed = _list(extractor, read, there, settings, overrules)
    generic = _by_domain(listed) if settings.drop_generic else {}

    rows = _written(read, generic).persist(StorageLevel.DISK_ONLY)
    changed = _changed(warehouse, mine, generic) if there is not None and settings.drop_generic else []
    if there is not None and changed:
        again = there.where(F.col("domain").isin(changed)).localCheckpoint()
        # What is not final and was read well says CONTINUE, or why it is dropped.
        final = (F.col("decision") == "STOP") & F.col("dropped_reason").isNull()
        refiltered = _written(again.withColumn("is_final", final), generic)
        assert scope is not None
        sessions = scope.unionByName(again.select("session_id").distinct())
        warehouse.replace(OBJECTIVES, rows.unionByName(refiltered), scope=sessions, within=mine)
    else:
        warehouse.replace(OBJECTIVES, rows, scope=scope, within=mine)
    # After the objectives: should the step die in between, the next run still finds that the list has changed.
    values: list[Any] = [tuple(row[name] for name in GENERIC_ATTRIBUTES.column_names) for row in listed]
    warehouse.replace(GENERIC_ATTRIBUTES, warehouse.spark.createDataFrame(values, GENERIC_ATTRIBUTES.ddl), within=mine)
    for domain, attributes in generic.items():
        say(f"extract: asked of everyone in {domain}, left out: {', '.join(attributes)} (generic_attributes says why)")
    read.unpersist()
    return rows


def _list(
    extractor: str,
    read: DataFrame,
    there: DataFrame | None,
    settings: ObjectiveSettings,
    overrules: Overrules,
) -> list[dict[str, Any]]:
    """Rows of `generic_attributes`, from what was read now and what is there of other sessions."""
    columns = ("domain", "split", "session_id", "turn", "status", "supplied")
    dropped = ~F.col("is_final") & (F.size("supplied") == 0)
    everything = read.select(*columns, F.when(dropped, objective.NOTHING_GAINED).alias("dropped_reason"))
    if there is not None:
        everything = everything.unionByName(there.select(*columns, "dropped_reason"))
    train = everything.where("split = 'train' AND status = 'ok'")
    found = decided(figures(train, overrules, settings.generic_min_dialogues), settings, overrules)
    for domain, attribute in sorted(set(overrules) - {(row["domain"], row["attribute"]) for row in found}):
        say(f"extract: generic_file names {attribute} in {domain}, which no train dialogue there supplies")
    return [{**row, "extractor": extractor} for row in found]


def _by_domain(listed: list[dict[str, Any]]) -> Generic:
    found: Generic = {}
    for row in listed:
        if row["generic"]:
            found.setdefault(row["domain"], []).append(row["attribute"])
    return {domain: sorted(attributes) for domain, attributes in sorted(found.items())}


def _changed(warehouse: Warehouse, mine: str, generic: Generic) -> list[str]:
    """Domains in which the objectives that are there were written without other attributes than now."""
    rows = warehouse.read_or_empty(GENERIC_ATTRIBUTES).where(mine).where("generic").collect()
    before = _by_domain([row.asDict() for row in rows])
    return sorted(name for name in {*before, *generic} if before.get(name) != generic.get(name))


def _written(rows: DataFrame, generic: Generic) -> DataFrame:
    """Rows of OBJECTIVES, from rows with domain, is_final and supplied (null where extraction failed)."""
    left_out = F.array().cast("array<string>")
    if generic:
        pairs = (part for name, kept in generic.items() for part in (F.lit(name), F.array(*map(F.lit, kept))))
        left_out = F.coalesce(F.try_element_at(F.create_map(*pairs), F.col("domain")), left_out)
    rows = rows.withColumn("information", objective.information(F.col("supplied"), left_out))
    answered = F.col("status") == "ok"
    given = (F.col("information"), F.col("is_final"))
    return rows.withColumns(
        {
            "decision": F.when(answered, objective.decision(*given)),
            "dropped_reason": F.when(answered, objective.dropped_reason(F.col("supplied"), *given)),
        }
    ).select(*OBJECTIVES.column_names)
