"""An event log's sessions into `dialogues`: gathered onto what is known of them, and merged.

What is known may change between the two: a run that died after gathering is taken up days later, or another run is
faster. A merge therefore leaves out every session of which the table holds a message that was not gathered, and those
sessions are gathered again, until none is left out.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from l2a.errors import L2AError
from l2a.ingest import classify
from l2a.ingest.staging import Staging
from l2a.tables.contracts import DIALOGUES
from l2a.tables.warehouse import Warehouse

ATTEMPTS = 20

_SILENT = f"action = '{classify.QUARANTINED}'"

NOTHING_LOST = (
    "size(t.messages) <= size(s.messages) AND size(array_except("
    "transform(t.messages, m -> xxhash64(m)), transform(s.messages, m -> xxhash64(m)))) = 0"
)
"""SQL condition of a merge: every message that is there is also in what comes. Hashes, because functions of sets take
quadratic time on structs."""


class Sessions:
    """One run's sessions.

    gather: makes dialogues of event rows, with what is known at this moment. merge: writes dialogues, one a session,
    where NOTHING_LOST holds. clear: takes what waited for a session out of quarantine.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        staging: Staging,
        gather: Callable[[DataFrame], DataFrame],
        merge: Callable[[DataFrame], None],
        clear: Callable[[DataFrame], None],
    ) -> None:
        self.warehouse = warehouse
        self.staging = staging
        self.gather = gather
        self.merge = merge
        self.clear = clear

    def take(self, rows: DataFrame) -> tuple[Counter[str], DataFrame]:
        """Merges the sessions of these event rows: rows by what became of them, and the rows that no user answers."""
        fates, silent, pending = Counter[str](), rows.where("false"), rows
        for attempt in range(ATTEMPTS):
            gathered = self.staging.once(f"sessions-{attempt}", functools.partial(self._gathered, pending))
            written = gathered.where("write")
            if not written.isEmpty():
                self.merge(written)
            missed = self.staging.once(f"missed-{attempt}", functools.partial(self._missed, gathered))
            settled = gathered.join(missed, "session_id", "left_anti")
            self.clear(settled.where(f"NOT ({_SILENT})"))
            done = pending.join(settled.select("session_id", "action"), "session_id")
            for row in done.groupBy("action").count().collect():
                fates[row["action"]] += row["count"]
            if fates[classify.QUARANTINED]:
                silent = silent.unionByName(done.where(_SILENT).select(*rows.columns))
            if not missed.isEmpty():
                pending = pending.join(missed, "session_id", "left_semi")
                continue
            answered = self._answered(attempt, silent) if fates[classify.QUARANTINED] else None
            if answered is None:
                return fates, silent
            pending = silent.join(answered, "session_id", "left_semi")
            silent = silent.join(answered, "session_id", "left_anti")
            fates[classify.QUARANTINED] -= pending.count()
        raise L2AError("other runs change the same sessions without end: wait for them, and run this one again")

    def _answered(self, attempt: int, silent: DataFrame) -> DataFrame | None:
        """Sessions of the silent rows that have got a user since they were gathered; None: there are none.

        None is no answer to keep: another run may bring the user before an attempt after a crash asks again.
        """

        def found() -> DataFrame:
            there = self.warehouse.read(DIALOGUES).select("session_id")
            return there.join(silent.select("session_id").distinct(), "session_id", "left_semi")

        name = f"answered-{attempt}"
        if not self.staging.holds(name) and found().isEmpty():
            return None
        return self.staging.once(name, found)

    def _gathered(self, rows: DataFrame) -> DataFrame:
        """The sessions of these event rows, with `action` and `write` of `classify`; without a user: quarantined."""
        sessions = classify.with_action(self.gather(rows))
        silent = ~F.exists("messages", lambda message: message["role"] == "user")
        action = F.when(silent, classify.QUARANTINED).otherwise(F.col("action"))
        return sessions.withColumns({"action": action, "write": ~silent & F.col("write")})

    def _missed(self, gathered: DataFrame) -> DataFrame:
        """Sessions that were merged and are not there as they were merged, and silent ones that have got a user."""
        there = self.warehouse.read(DIALOGUES).select("session_id", F.col("dialogue_version").alias("there"))
        found = gathered.where(f"write OR {_SILENT}").join(there, "session_id", "left")
        refused = "write AND NOT (there <=> dialogue_version)"
        answered = f"{_SILENT} AND there IS NOT NULL"
        return found.where(f"({refused}) OR ({answered})").select("session_id")
