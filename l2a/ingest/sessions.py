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

from l2a.errors import L2AError
from l2a.ingest import classify, events
from l2a.ingest.staging import Staging
from l2a.tables.contracts import DIALOGUES
from l2a.tables.warehouse import Warehouse

ATTEMPTS = 20

NOTHING_LOST = (
    "size(t.messages) <= size(s.messages) AND size(array_except("
    "transform(t.messages, m -> xxhash64(m)), transform(s.messages, m -> xxhash64(m)))) = 0"
)
"""SQL condition of a merge: every message that is there is also in what comes. Hashes, because functions of sets take
quadratic time on structs."""


class Sessions:
    """One run's sessions.

    gather: makes dialogues of event rows, with what is known at this moment. merge: writes dialogues, one a session,
    where NOTHING_LOST holds.
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
        fates, silent, pending = Counter[str](), [], rows
        for attempt in range(ATTEMPTS):
            gathered = self.staging.once(f"gathered-{attempt}", functools.partial(self.gather, pending))
            nobody = events.without_user(gathered)
            candidates = gathered.join(nobody, "session_id", "left_anti")
            decided = self.staging.once(f"actions-{attempt}", functools.partial(_decide, candidates, gathered))
            written = decided.where("write").select("session_id")
            if not written.isEmpty():
                self.merge(candidates.join(written, "session_id", "left_semi"))
            missed = self.staging.once(f"missed-{attempt}", functools.partial(self._missed, decided, nobody))
            self.clear(candidates.join(missed, "session_id", "left_anti"))
            done = pending.join(missed, "session_id", "left_anti")
            for row in done.join(decided, "session_id").groupBy("action").count().collect():
                fates[row["action"]] += row["count"]
            silent.append(done.join(nobody, "session_id", "left_semi"))
            if missed.isEmpty():
                return fates, functools.reduce(DataFrame.unionByName, silent)
            pending = pending.join(missed, "session_id", "left_semi")
        raise L2AError("other runs change the same sessions without end: wait for them, and run this one again")

    def _missed(self, decided: DataFrame, nobody: DataFrame) -> DataFrame:
        """Sessions that were merged and are not there as they were merged, and silent ones that have got a user."""
        there = self.warehouse.read(DIALOGUES).select("session_id", "dialogue_version")
        merged = decided.where("write").select(*there.columns)
        refused = merged.join(there, there.columns, "left_anti").select("session_id")
        answered = nobody.join(there, "session_id", "left_semi").select("session_id")
        return refused.unionByName(answered)


def _decide(candidates: DataFrame, gathered: DataFrame) -> DataFrame:
    """What each session does to the dialogue that it was gathered onto."""
    decided = classify.actions(classify.winners(candidates), events.known(gathered))
    return decided.select("session_id", "dialogue_version", "action", "write")
