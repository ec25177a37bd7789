"""What a good line does to the warehouse: new, updated, unchanged or superseded.

A dialogue's versions are ordered by (updated_at, landing date), null first; among equals the one that arrived later
wins: the later run, and within a run the later file by name and the later line. So nights that are taken out of order
end in the same table as nights in order, and two versions in one file end the same way in every run.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

NEW, UPDATED, UNCHANGED, SUPERSEDED, QUARANTINED = "new", "updated", "unchanged", "superseded", "quarantined"

PLACE = ("source", "block", "place")


def dialogue_version() -> Column:
    """Hash of what a dialogue says; its split, its source and its times of change are not part of it.

    It tells versions of one dialogue apart, for which 48 bits do (one correction in 10^14 would be missed), and each
    turn, objective, rollout and grade carries it: as base64 (RFC 4648, section 5) it takes eight characters.
    """
    content = F.struct("domain", "goal", "outcome", "expert", "messages")
    hashed = F.lpad(F.hex(F.xxhash64(F.to_json(content))), 16, F.lit("0"))
    return F.translate(F.base64(F.unhex(F.substr(hashed, F.lit(1), F.lit(12)))), "+/", "-_")


def winners(candidates: DataFrame) -> DataFrame:
    """The newest candidate of each session: session_id, dialogue_version, updated_at, landed and its place."""
    newest = F.max(F.struct("updated_at", "landed", *PLACE, "dialogue_version")).alias("newest")
    return candidates.groupBy("session_id").agg(newest).select("session_id", "newest.*")


def actions(winners: DataFrame, known: DataFrame) -> DataFrame:
    """Adds to winners `action` and `write`, as `with_action` does. known: the dialogues table."""
    old = known.select(
        "session_id",
        F.col("dialogue_version").alias("known_version"),
        F.col("updated_at").alias("known_updated_at"),
        F.col("landed").alias("known_landed"),
    ).join(winners.select("session_id"), "session_id", "left_semi")
    return with_action(winners.join(old, "session_id", "left")).select(*winners.columns, "action", "write")


def with_action(dialogues: DataFrame) -> DataFrame:
    """Adds `action`, and `write`: whether the dialogues table must change for it.

    dialogues: with known_version, known_updated_at, known_landed of what the table holds of the session (null: none).

    A version that says the same later, by updated_at, is an update (what arrives between the two is then old news);
    one that says the same on a later landing date is unchanged, but the date is noted for the same reason.
    """
    # Structs compare field by field with null first, and never to null.
    ours, theirs = F.struct("updated_at", "landed"), F.struct("known_updated_at", "known_landed")
    changed_later = F.struct("updated_at") > F.struct("known_updated_at")
    same = F.col("known_version") == F.col("dialogue_version")
    action = (
        F.when(F.col("known_version").isNull(), NEW)
        .when(same & changed_later, UPDATED)
        .when(same, UNCHANGED)
        .when(ours < theirs, SUPERSEDED)
        .otherwise(UPDATED)
    )
    noted = (action == UNCHANGED) & (theirs < ours)
    return dialogues.withColumns({"action": action, "write": action.isin(NEW, UPDATED) | noted})


def fates(candidates: DataFrame, decided: DataFrame) -> DataFrame:
    """Every good line with what became of it: the place, session_id and `fate`."""
    chosen = decided.select(
        "session_id",
        "action",
        F.col("dialogue_version").alias("chosen_version"),
        F.struct(*PLACE).alias("chosen_place"),
    )
    won = F.struct(*PLACE) == F.col("chosen_place")
    fate = F.when(won, F.col("action")).when(F.col("dialogue_version") == F.col("chosen_version"), UNCHANGED)
    return candidates.join(chosen, "session_id").select(*PLACE, "session_id", fate.otherwise(SUPERSEDED).alias("fate"))
