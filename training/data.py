"""What a training learns from: usable turns with their objective and dialogue, read from Delta without Spark.

    versions = newest_versions(warehouse)          # recorded when a training first starts
    turns = read(warehouse, versions, extractor, "train")

A warehouse is read as it was at the recorded versions, so that a training which is killed and started again while the
logs grow goes on with the same turns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from l2a.dialogue.types import STOP_MARK, Decision, Message
from l2a.errors import UsageError
from l2a.sql import engine, storage

TABLES = ("dialogues", "turns", "objectives")
Versions = Mapping[str, int]

_DIALOGUES = """
SELECT session_id, domain, goal, [m.role FOR m IN messages] AS roles, [m.content FOR m IN messages] AS contents
FROM dialogues WHERE split = $split ORDER BY session_id"""
_TURNS = """
SELECT t.session_id, t.turn, t.is_final, t.context_end, t.utterance_messages, o.information, o.decision
FROM turns t
JOIN dialogues d USING (session_id, dialogue_version)
JOIN objectives o USING (session_id, turn, dialogue_version)
WHERE o.extractor = $extractor AND o.status = 'ok' AND t.dropped_reason IS NULL AND o.dropped_reason IS NULL
  AND d.split = $split
ORDER BY t.session_id, t.turn"""


@dataclass(frozen=True)
class Logged:
    """A dialogue of the logs."""

    session_id: str
    domain: str | None
    goal: str | None
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Turn:
    """A usable turn: the context, what the expert said, and what was worth asking."""

    dialogue: Logged = field(repr=False)
    turn: int
    is_final: bool
    context_end: int
    utterance_messages: int
    information: tuple[str, ...]
    target: Decision

    @property
    def context(self) -> tuple[Message, ...]:
        """C_{t-1}: every message before the expert's utterance."""
        return self.dialogue.messages[: self.context_end]

    @property
    def future(self) -> tuple[Message, ...]:
        """What was said from this turn on, the expert's utterance first: for graders, never for a policy."""
        return self.dialogue.messages[self.context_end :]

    @property
    def expert(self) -> str:
        """What a policy is to say here by the expert's example: their utterance, or the mark where they stopped."""
        if self.is_final:
            return STOP_MARK
        said = self.future[: self.utterance_messages]
        return "\n".join(m.content for m in said if m.role == "assistant")


def newest_versions(warehouse: str) -> dict[str, int]:
    """The Delta versions of the tables that a training reads, as they are now.

    Raises `UsageError` where one of them was not written yet.
    """
    where = storage.find(warehouse)
    there = set(where.table_names())
    missing = [name for name in TABLES if name not in there]
    if missing:
        raise UsageError(
            f"the warehouse {warehouse} has no {' and no '.join(missing)}: run `l2a ingest PATH`, `l2a slice` and "
            "`l2a extract` on logs first, or all of it by `l2a run PATH`"
        )
    return {name: where.open(name).version() for name in TABLES}


def resolve_extractor(warehouse: str, wanted: str, versions: Versions) -> str:
    """The full name of the extractor whose objectives are meant: `embedded` is the newest fitted judge with some, `llm`
    (or the beginning of a name, up to a colon) the only one of that name.

    Raises `UsageError` where no objectives of it are there, or several LLM extractors could be meant.
    """
    connection = engine.connect(warehouse, ("objectives", "judges"), {"objectives": versions["objectives"]})
    found = {str(row[0]) for row in connection.execute("SELECT DISTINCT extractor FROM objectives").fetchall()}
    if wanted == "embedded":
        newest = connection.execute("SELECT name FROM judges ORDER BY created_at DESC, name").fetchall()
        named = [name for (name,) in newest if name in found]
    else:
        named = sorted(n for n in found if n == wanted or n.startswith(f"{wanted}:"))
    if not named or (len(named) > 1 and wanted != "embedded"):
        there = ", ".join(sorted(found)) or "none"
        raise UsageError(f"extractor {wanted}: name one whose objectives are there; there are: {there}")
    return str(named[0])


def read(warehouse: str, versions: Versions, extractor: str, split: str) -> list[Turn]:
    """Usable turns of a split in order of session and turn. Empty where there are none."""
    connection = engine.connect(warehouse, TABLES, versions)
    dialogues = {
        session: Logged(session, domain, goal, tuple(map(Message, roles, contents)))
        for session, domain, goal, roles, contents in connection.execute(_DIALOGUES, {"split": split}).fetchall()
    }
    rows = connection.execute(_TURNS, {"split": split, "extractor": extractor}).fetchall()
    return [
        Turn(dialogues[session], turn, final, start, end, tuple(information), decision)
        for session, turn, final, start, end, information, decision in rows
    ]


def digest(turns: Iterable[Turn]) -> str:
    """16 hexadecimal digits over all that the turns say: equal where a training would learn the same."""
    total = hashlib.sha256()
    for turn in turns:
        d = turn.dialogue
        said = [d.session_id, d.domain, d.goal, turn.turn, turn.expert, turn.information, turn.target]
        total.update(json.dumps([*said, [(m.role, m.content) for m in turn.context]], ensure_ascii=True).encode())
    return total.hexdigest()[:16]


def share_of(session_id: str, seed: int) -> float:
    """A number in [0, 1) that belongs to a dialogue: parts of the train split are cut by it, whatever else is there."""
    return int.from_bytes(hashlib.sha256(f"{seed} {session_id}".encode()).digest()[:8], "big") / 2**64


def by_dialogue(turns: Sequence[Turn]) -> list[list[Turn]]:
    """The turns of each dialogue, dialogues in order."""
    found: dict[str, list[Turn]] = {}
    for turn in turns:
        found.setdefault(turn.dialogue.session_id, []).append(turn)
    return list(found.values())
