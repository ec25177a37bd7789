"""One run of ingestion: from files to `quarantine` and `dialogues`, each line in exactly one count.

The files are parsed once, into the run's staging folder; from there come the rejected lines, the newest version of each
dialogue and the counts. What is staged stays as it is, so an attempt after a crash decides and counts the same.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from l2a.ingest import classify, diagnose, events, files, nanoseconds, parse, waiting
from l2a.ingest.reading import check_sessions
from l2a.ingest.sessions import NOTHING_LOST, Sessions
from l2a.ingest.split import split
from l2a.ingest.staging import Staging
from l2a.mapping import Mapping
from l2a.settings import IngestSettings
from l2a.tables.contracts import DIALOGUES, QUARANTINE
from l2a.tables.warehouse import Warehouse

_GOOD = "reason IS NULL"
_REJECTED = f"reason <> '{parse.BLANK}'"
_NOT_OLDER = "struct(s.updated_at, s.landed) >= struct(t.updated_at, t.landed)"
_SAID_BEFORE = "s.dialogue_version = t.dialogue_version AND s.updated_at <=> t.updated_at"
"""Of such a dialogue only the later landing date is noted: where it came from, and its split, stay."""
_COMBINED = {name: f"if({_SAID_BEFORE}, t.{name}, s.{name})" for name in ("source", "ingested_at")} | {
    # What was set apart with --split stays so when a later file, read without, brings a correction.
    "split": f"if({_SAID_BEFORE} OR (coalesce(t.split_given, false) AND NOT s.split_given), t.split, s.split)",
    "split_given": f"if({_SAID_BEFORE}, t.split_given, coalesce(t.split_given, false) OR s.split_given)",
}


class Tally(NamedTuple):
    """Input lines by what became of them."""

    new: int
    updated: int
    unchanged: int
    superseded: int
    quarantined: int


class Intake:
    """One run's way from files to tables."""

    def __init__(
        self,
        warehouse: Warehouse,
        staging: Staging,
        mapping: Mapping,
        settings: IngestSettings,
        given_split: str | None,
        now: dt.datetime,
    ) -> None:
        self.warehouse = warehouse
        self.staging = staging
        self.mapping = mapping
        self.settings = settings
        self.given_split = given_split
        self.now = now

    def take(self, paths: list[str], announce: Callable[[], None]) -> Tally:
        """Writes `quarantine` and `dialogues` from these files; again, it changes nothing and counts the same.

        announce: called before the first of these writes.
        """
        self.warehouse.ensure(QUARANTINE)
        self.warehouse.ensure(DIALOGUES)
        with files.naming_damaged_files(), nanoseconds.readable(self.warehouse.spark):
            lines = self.staging.once("lines", lambda: self._parsed(paths))
        good, rejected = lines.where(_GOOD), lines.where(_REJECTED)
        if self.given_split is not None:
            check_sessions(self.warehouse, good, self.given_split)
        announce()
        blocks = files.blocks(lines, _REJECTED, _GOOD)
        quarantined = sum(block.rejected for block in blocks)
        if self.mapping.kind == "event":
            fates, silent = self._sessions(paths).take(good)
            silent = silent.withColumn("reason", F.lit(parse.NO_USER_MESSAGE))
            rejected = rejected.unionByName(silent)
            quarantined += fates[classify.QUARANTINED]
            self._quarantine(paths, rejected, quarantined, blocks)
        else:
            self._quarantine(paths, rejected, quarantined, blocks)
            fates = self._documents(good, sum(block.good for block in blocks))
        return Tally(
            new=fates[classify.NEW],
            updated=fates[classify.UPDATED],
            unchanged=fates[classify.UNCHANGED],
            superseded=fates[classify.SUPERSEDED],
            quarantined=quarantined,
        )

    def _documents(self, good: DataFrame, count: int) -> Counter[str]:
        """Writes the newest version of each dialogue; the lines by what became of them."""
        decided = self.staging.once(
            "actions",
            lambda: classify.actions(classify.winners(good), self.warehouse.read_or_empty(DIALOGUES)),
        )
        sessions, to_write = Counter[str](), 0
        for action, write, rows in decided.groupBy("action", "write").count().collect():
            sessions[action] += rows
            to_write += rows if write else 0
        if to_write:
            self._write(good, None if to_write == count else decided.where("write"))
        if sessions.total() == count:  # one line each
            return sessions
        fates = classify.fates(good, decided).groupBy("fate").count()
        return Counter({row["fate"]: int(row["count"]) for row in fates.collect()})

    def _sessions(self, paths: list[str]) -> Sessions:
        def gather(rows: DataFrame) -> DataFrame:
            new = rows.select(*events.COLUMNS, F.lit(None).cast("bigint").alias("position"))
            before = waiting.waiting(self.warehouse, self.mapping, self.settings, rows, paths)
            known = self.warehouse.read(DIALOGUES)
            return self._finished(events.gather(new if before is None else new.unionByName(before), known))

        return Sessions(
            self.warehouse,
            self.staging,
            gather=gather,
            merge=lambda rows: self._merge(rows, f"{_NOT_OLDER} AND {NOTHING_LOST}"),
            clear=lambda rows: waiting.clear(self.warehouse, rows),
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
        parsed = parsed.withColumns({"raw": raw, "landed": files.landed(), "known_split": F.lit(None).cast("string")})
        parsed = parsed.drop("value", "row")
        return parsed if self.mapping.kind == "event" else self._finished(parsed)

    def _finished(self, dialogues: DataFrame) -> DataFrame:
        return dialogues.withColumns(
            {
                "dialogue_version": classify.dialogue_version(),
                # A session that comes in parts, of which only the first names its group, stays where it is.
                "split": F.when(F.col("group").isNull(), F.col("known_split")).otherwise(F.lit(None)),
                "split_given": F.lit(self.given_split is not None),
            }
        ).withColumn("split", F.coalesce("split", split(self.settings.split_shares, self.given_split)))

    def _quarantine(self, paths: list[str], rejected: DataFrame, quarantined: int, blocks: list[files.Block]) -> None:
        # Lines of these files that were rejected before: in another state of theirs, by another mapping, or by a run
        # that was killed before it could say that it had read them.
        these = self.warehouse.spark.createDataFrame([(path,) for path in paths], "source string")
        before = self.warehouse.read(QUARANTINE).join(F.broadcast(these), "source", "left_semi")
        replaces = not before.isEmpty()
        if not quarantined and not replaces:
            return
        why = F.udf(diagnose.diagnose, "string", useArrow=True)
        malformed = rejected.where(F.col("reason") == parse.MALFORMED).withColumn("reason", why("raw"))
        told = rejected.where(F.col("reason") != parse.MALFORMED).unionByName(malformed)
        raw = F.rtrim(F.substr("raw", F.lit(1), F.lit(self.settings.quarantine_raw_characters)), F.lit("\r"))
        rows = files.with_position(told, blocks).withColumns({"raw": raw, "ingested_at": F.lit(self.now)})
        # A line of a file is read once in a run, so that source and position are unique.
        if replaces:
            self.warehouse.replace(QUARANTINE, rows, scope=these, unique=True)
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
        self._merge(rows, _NOT_OLDER)

    def _merge(self, rows: DataFrame, only_if: str) -> None:
        self.warehouse.upsert(
            DIALOGUES,
            rows.withColumn("ingested_at", F.lit(self.now)),
            only_if=only_if,
            combine=_COMBINED,
            unique=True,
        )
