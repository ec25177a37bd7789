"""What is judged in a check: questions and dialogues of a warehouse, and anchors that people graded.

An anchor file holds one JSON object a line:

    {"session_id": "s-1", "context": [{"role": "user", "content": "My card is gone."}],
     "information": ["place: market"], "text": "Where did you see it last?", "grade": 1, "domain": "bank",
     "goal": "block the card"}

(on one line).

grade is R_a by a person: 1 the text asks directly for an item of the information, 0.5 closely related, 0 neither.
session_id, domain, goal and future (what was said after, like context) may be left out; anchors of one session are
resampled together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import fsspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from l2a.dialogue.types import Message
from l2a.errors import UsageError
from l2a.judge.protocols import Dialogue, Question
from l2a.reward.grading import LEVELS
from l2a.sql import engine

_QUESTIONS = """
SELECT d.session_id, d.domain, d.goal, [m.role FOR m IN d.messages], [m.content FOR m IN d.messages],
  t.context_end, t.utterance_messages, o.information
FROM objectives o
JOIN turns t USING (session_id, turn, dialogue_version)
JOIN dialogues d USING (session_id, dialogue_version)
WHERE o.extractor = (FROM newest_extractor) AND o.decision = 'CONTINUE' AND o.dropped_reason IS NULL
  AND t.dropped_reason IS NULL AND d.split <> 'eval'
ORDER BY d.split = 'dev' DESC, md5(concat(d.session_id, '/', t.turn)), t.turn
LIMIT $most"""
_DIALOGUES = """
SELECT d.session_id, any_value(d.domain), any_value(d.goal), any_value([m.role FOR m IN d.messages]),
  any_value([m.content FOR m IN d.messages]), list(t.context_end ORDER BY t.turn)
FROM turns t
JOIN dialogues d USING (session_id, dialogue_version)
WHERE NOT t.is_final AND t.dropped_reason IS NULL AND d.split <> 'eval'
GROUP BY d.session_id, d.split
ORDER BY d.split = 'dev' DESC, md5(d.session_id), d.session_id
LIMIT $most"""


@dataclass(frozen=True)
class Asked:
    """A question to a grader, and the dialogue that it belongs to."""

    session_id: str
    question: Question


@dataclass(frozen=True)
class Anchor(Asked):
    """A question with a person's grade."""

    grade: float


@dataclass(frozen=True)
class Logged:
    """A dialogue with the context_end of its usable turns that are not final."""

    session_id: str
    dialogue: Dialogue
    starts: tuple[int, ...]


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")
    role: Literal["user", "assistant", "system", "tool"]
    content: str


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    context: list[_Message]
    information: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    text: str
    grade: float
    session_id: str | None = None
    domain: str | None = None
    goal: str | None = None
    future: list[_Message] = []

    @field_validator("grade")
    @classmethod
    def _level(cls, grade: float) -> float:
        if grade not in LEVELS:
            raise ValueError("a grade is 0, 0.5 or 1")
        return grade


def read_anchors(path: str) -> list[Anchor]:
    """The anchors of a file, in order. Raises `UsageError` that names the line and what is wrong with it."""
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--anchors {path}: {error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            told = _Line.model_validate(json.loads(line))
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise UsageError(f"--anchors {path}, line {number}: {where}: {first['msg']}") from None
        except ValueError as error:
            raise UsageError(f"--anchors {path}, line {number}: not JSON: {error}") from None
        context = tuple(Message(m.role, m.content) for m in told.context)
        future = tuple(Message(m.role, m.content) for m in told.future)
        question = Question(told.text, tuple(told.information), context, told.domain, told.goal, future)
        found.append(Anchor(told.session_id or f"line {number}", question, told.grade))
    if not found:
        raise UsageError(f"--anchors {path}: no anchor in it")
    return found


def is_there(warehouse: str) -> bool:
    """Whether there is a warehouse at all: an LLM judge can be checked without one."""
    files, path = fsspec.core.url_to_fs(warehouse)
    return bool(files.exists(path))


def questions(warehouse: str, most: int) -> list[Asked]:
    """The expert's own utterance at usable turns, and beside it the next turn's here, mostly of another dialogue.

    At most `most`, dev dialogues first, the same ones in every run; never of the eval split.
    """
    connection = engine.connect(warehouse, ("objectives", "turns", "dialogues", "newest_extractor"))
    rows = connection.execute(_QUESTIONS, {"most": (most + 1) // 2}).fetchall()
    said = [" ".join(row[4][i] for i in range(row[5], row[5] + row[6]) if row[3][i] == "assistant") for row in rows]
    found = []
    for i, (session, domain, goal, roles, contents, end, _, information) in enumerate(rows):
        context, future = _messages(roles[:end], contents[:end]), _messages(roles[end:], contents[end:])
        for text in (said[i], said[(i + 1) % len(said)]):
            found.append(Asked(session, Question(text, tuple(information), context, domain, goal, future)))
    return found[:most]


def dialogues(warehouse: str, most: int) -> list[Logged]:
    """At most `most` dialogues with usable turns, dev first, the same ones in every run; never of the eval split."""
    connection = engine.connect(warehouse, ("turns", "dialogues"))
    rows = connection.execute(_DIALOGUES, {"most": most}).fetchall()
    return [
        Logged(session, Dialogue(_messages(roles, contents), domain, goal), tuple(starts))
        for session, domain, goal, roles, contents, starts in rows
    ]


def _messages(roles: Sequence[str], contents: Sequence[str]) -> tuple[Message, ...]:
    return tuple(Message(role, content) for role, content in zip(roles, contents, strict=True))
