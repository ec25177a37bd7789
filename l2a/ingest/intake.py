"""One run of ingestion: from files to `quarantine` and `dialogues`, each line in exactly one count.

The files are parsed once, into the run's staging folder; from there come the rejected lines, the newest version of each
dialogue and the counts. What is staged stays as it is, so an attempt after a crash decides and counts the same.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from l2a.ingest import classify, diagnose, events, files, parse
from l2a.ingest.split import split
from l2a.ingest.staging import Staging
from l2a.mapping import Mapping
from l2a.settings import IngestSettings
from l2a.tables.contracts import DIALOGUES, QUARANTINE
from l2a.tables.warehouse import Warehouse

_GOOD = "reason IS NULL"
_REJECTED = f"reason <> '{parse.BLANK}'"


class Tally(NamedTuple):
    """Input lines by what became of them."""

    new: int
    updated: int
    unchanged: int
    superseded: int
    quarantined: int


class Intake:
    """One run's way from files to tables.

    read_before: those of the files that an earlier run has read in another state or by another mapping.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        staging: Staging,
        mapping: Mapping,
        settings: IngestSettings,
        given_split: str | None,
        now: dt.datetime,
        read_before: Sequence[str],
    ) -> None:
        self.warehouse = warehouse
        self.staging = staging
        self.mapping = mapping
        self.settings = settings
        self.given_split = given_split
        self.now = now
        self.read_before = read_before

    def take(self, paths: list[str]) -> Tally:
        """Writes `quarantine` and `dialogues` from these files; again, it changes nothing and counts the same."""
        self.warehouse.ensure(QUARANTINE)
        self.warehouse.ensure(DIALOGUES)
        with files.naming_damaged_files():
            lines = self.staging.once("lines", lambda: self._parsed(paths))
        good, rejected = lines.where(_GOOD), lines.where(_REJECTED)
        blocks = files.blocks(lines, _REJECTED, _GOOD)
        quarantined = sum(block.rejected for block in blocks)
        candidates = good
        if self.mapping.kind == "event":
            gathered = self.staging.once("gathered", lambda: self._gathered(good))
            nobody = events.without_user(gathered)
            candidates = gathered.join(nobody, "session_id", "left_anti")
            silent = good.join(nobody, "session_id", "left_semi").withColumn("reason", F.lit(parse.NO_USER_MESSAGE))
            rejected = rejected.unionByName(silent)
            quarantined += silent.count()
        decided = self.staging.once(
            "actions",
            lambda: classify.actions(classify.winners(candidates), self.warehouse.read_or_empty(DIALOGUES)),
        )
        sessions, to_write = Counter[str](), 0
        for action, write, count in decided.groupBy("action", "write").count().collect():
            sessions[action] += count
            to_write += count if write else 0
        self._quarantine(rejected, quarantined, blocks)
        if to_write:
            everything = to_write == sum(block.good for block in blocks) and self.mapping.kind == "document"
            self._write(candidates, None if everything else decided.where("write"))
        one_line_each = sessions.total() == sum(block.good for block in blocks)
        by_fate = sessions if one_line_each else self._fates(good, candidates, decided)
        return Tally(
            new=by_fate[classify.NEW],
            updated=by_fate[classify.UPDATED],
            unchanged=by_fate[classify.UNCHANGED],
            superseded=by_fate[classify.SUPERSEDED],
            quarantined=quarantined,
        )

    def _parsed(self, paths: list[str]) -> DataFrame:
        parquet = [path for path in paths if files.is_parquet(path)]
        text = [path for path in paths if not files.is_parquet(path)]
        limits = self.settings
        raw_lines = files.lines(self.warehouse.spark, text, parquet)
        parsed = parse.parse(raw_lines, self.mapping, limits.max_message_bytes, limits.max_line_bytes)
        raw = F.when(F.col("reason") == parse.MALFORMED, F.col("value")).when(
            F.col("reason").isNotNull() | F.lit(self.mapping.kind == "event"),
            F.substr(
                F.coalesce(F.make_valid_utf8("value"), F.to_json("row")),
                F.lit(1),
                F.lit(limits.quarantine_raw_characters),
            ),
        )
        parsed = parsed.withColumns({"raw": raw, "landed": _landed(), "known_split": F.lit(None).cast("string")})
        parsed = parsed.drop("value", "row")
        return parsed if self.mapping.kind == "event" else self._finished(parsed)

    def _gathered(self, good: DataFrame) -> DataFrame:
        known = self.warehouse.read_or_empty(DIALOGUES)
        return self._finished(events.gather(good, known))

    def _finished(self, dialogues: DataFrame) -> DataFrame:
        return dialogues.withColumns(
            {
                "dialogue_version": classify.dialogue_version(),
                # A session that comes in parts, of which only the first names its group, stays where it is.
                "split": F.when(F.col("group").isNull(), F.col("known_split")).otherwise(F.lit(None)),
            }
        ).withColumn("split", F.coalesce("split", split(self.settings.split_shares, self.given_split)))

    def _quarantine(self, rejected: DataFrame, quarantined: int, blocks: list[files.Block]) -> None:
        if not quarantined and not self.read_before:
            return
        why = F.udf(diagnose.diagnose, "string", useArrow=True)
        malformed = rejected.where(F.col("reason") == parse.MALFORMED).withColumn("reason", why("raw"))
        told = rejected.where(F.col("reason") != parse.MALFORMED).unionByName(malformed)
        raw = F.rtrim(F.substr("raw", F.lit(1), F.lit(self.settings.quarantine_raw_characters)), F.lit("\r"))
        rows = files.with_position(told, blocks).withColumns({"raw": raw, "ingested_at": F.lit(self.now)})
        # A line of a file is read once in a run, so that source and position are unique.
        if self.read_before:
            again = self.warehouse.spark.createDataFrame([(path,) for path in self.read_before], "source string")
            self.warehouse.replace(QUARANTINE, rows, scope=again, unique=True)
        else:
            self.warehouse.upsert(QUARANTINE, rows, unique=True)

    def _write(self, candidates: DataFrame, wanted: DataFrame | None) -> None:
        """Writes the candidates at the wanted places (None: all), one a session."""
        rows = candidates
        if wanted is not None:
            # What is left out is mostly little, so that Spark broadcasts it instead of moving all texts.
            place = list(classify.PLACE)
            unwanted = candidates.select(*place).join(wanted.select(*place), place, "left_anti")
            rows = candidates.join(unwanted, place, "left_anti")
        self.warehouse.upsert(
            DIALOGUES,
            rows.withColumn("ingested_at", F.lit(self.now)),
            only_if="struct(s.updated_at, s.landed) >= struct(t.updated_at, t.landed)",
            unique=True,
        )

    def _fates(self, good: DataFrame, candidates: DataFrame, decided: DataFrame) -> Counter[str]:
        """Good lines by what became of them; an event shares the fate of its session."""
        if self.mapping.kind == "event":
            fates = good.join(decided.select("session_id", F.col("action").alias("fate")), "session_id")
        else:
            fates = classify.fates(candidates, decided)
        return Counter({row["fate"]: int(row["count"]) for row in fates.groupBy("fate").count().collect()})


def _landed() -> Column:
    return F.try_to_date(F.nullif(F.regexp_extract("source", r"/dt=(\d{4}-\d{2}-\d{2})/", 1), F.lit("")), "yyyy-MM-dd")
