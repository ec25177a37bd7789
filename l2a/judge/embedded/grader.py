"""The embedded grader: does an utterance ask for an item of I*_t?

An item is "attribute: value", from whichever extractor or person. A question scores for an item by how near it is to
the item, to what the user said when it was supplied and to the question that got it, where these are known; against
what was asked and answered before, by how near it is to those questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from l2a.dialogue.asking import exchanges
from l2a.dialogue.types import STOP_MARK, Message
from l2a.judge.embedded.crowding import Crowd
from l2a.judge.embedded.guard import readable
from l2a.judge.embedded.listing import lists_topics
from l2a.judge.embedded.matching import Item, likeness, repetition
from l2a.judge.embedded.replies import refuses
from l2a.judge.embedded.text import asked_in, questions, topical
from l2a.judge.encoder import Encoded, Encoder
from l2a.judge.protocols import Judgement, Question

MAX_ITEMS = 64
"""Items of one information set that are read."""
MAX_QUESTIONS = 12
"""Single questions of one utterance that are read; whoever asks more asks several things at once anyway."""
ONE_TOPIC = 0.55
"""Two questions of one utterance with a smaller cosine are two topics, and the utterance gets at most .5."""


@dataclass(frozen=True)
class Thresholds:
    """The likeness from which a question is paid: for an item whose source is known, and for one by its words alone.

    The defaults are for logs that are too few to set them.
    """

    sourced: float = 1.0
    plain: float = 1.0


class EmbeddedGrader:
    """Implements `l2a.judge.protocols.Grader` with what `fit` learnt. Deterministic."""

    def __init__(self, name: str, encoder: Encoder, crowd: Crowd, thresholds: Thresholds) -> None:
        self._name = name
        self._encoder = encoder
        self._crowd = crowd
        self.thresholds = thresholds

    @property
    def name(self) -> str:
        """The judge's version: "embedded-" and 12 hexadecimal digits."""
        return self._name

    def grade(self, questions: Sequence[Question]) -> list[Judgement]:
        """One judgement per question; each text of the batch is encoded once. A failure is one with an error."""
        prepared, found = self._read(questions)
        return [p if isinstance(p, Judgement) else self._judge(p, found) for p in prepared]

    def scores(self, questions: Sequence[Question]) -> list[float]:
        """The score behind each grade. NOTHING where nothing is asked for, or nothing could be judged."""
        prepared, found = self._read(questions)
        return [score(p, found, self._crowd, self.thresholds) if isinstance(p, Reading) else NOTHING for p in prepared]

    def _read(self, questions: Sequence[Question]) -> tuple[list[Reading | Judgement], Mapping[str, Encoded]]:
        prepared = [read_question(question) for question in questions]
        return prepared, self._encoder.encode([t for p in prepared if isinstance(p, Reading) for t in p.texts()])

    def _judge(self, p: Reading, found: Mapping[str, Encoded]) -> Judgement:
        if not p.parts:
            return Judgement(r_a=0.0, asks=p.asks)
        grade = 1.0 if score(p, found, self._crowd, self.thresholds) >= 0.0 else 0.0
        if any(map(lists_topics, p.parts)):
            grade = min(grade, 0.5)
        if len(p.parts) > 1:
            parts = np.stack([found[part].vector for part in p.parts])
            if float((parts @ parts.T).min()) < ONE_TOPIC:
                grade = min(grade, 0.5)
        return Judgement(r_a=grade, asks=True)


@dataclass(frozen=True)
class Reading:
    """A question to the grader, read: its single questions, the items, and what was asked and answered before."""

    asks: bool
    """Whether anything is asked at all."""
    parts: tuple[str, ...]
    """What is asked for something nameable: "is that so?" asks, but for no item."""
    items: tuple[Item, ...]
    answered: tuple[str, ...]

    def texts(self) -> list[str]:
        """Every text that a judgement needs an embedding of."""
        if not self.parts:
            return []
        return [*self.parts, *self.answered, *(text for item in self.items for text in item.texts())]


NOTHING = -9.0
"""The score of an utterance that asks for nothing nameable: below all others."""


def score(reading: Reading, found: Mapping[str, Encoded], crowd: Crowd, thresholds: Thresholds) -> float:
    """How far above its threshold the best single question of an utterance comes to the best item; `found` holds every
    text."""
    if not reading.parts:
        return NOTHING
    needed = [thresholds.sourced if item.source.text else thresholds.plain for item in reading.items]
    best = (likeness(reading.parts, reading.items, found, crowd) - np.array(needed)).max(axis=1)
    # Rounded, so that the last bits of a batch's arithmetic decide no grade.
    return round(float((best - repetition(reading.parts, reading.answered, reading.items, found)).max()), 4)


def read_question(question: Question) -> Reading | Judgement:
    """What a judgement needs, or the judgement that says why there can be none."""
    if not isinstance(question.text, str):
        return Judgement(None, None, f"the utterance is {type(question.text).__name__}, not text")
    items = [item.strip() for item in question.information if isinstance(item, str) and item.strip()][:MAX_ITEMS]
    if not items:
        return Judgement(None, None, "the information set is empty: a STOP turn needs no grader")
    text = "" if STOP_MARK in question.text else readable(question.text, items, (*question.context, *question.future))
    parts = topical(text)[:MAX_QUESTIONS]
    return Reading(
        bool(questions(text)),
        parts,
        tuple(Item.read(item, question.future) for item in items) if parts else (),
        tuple(answered_questions(question.context)) if parts else (),
    )


def answered_questions(context: Sequence[Message]) -> list[str]:
    """Single questions of the context that the user answered, without a refusal, before the next expert utterance."""
    found: dict[str, None] = {}
    for utterance, places in exchanges(context):
        if places and not refuses(context[places[0]].content[:2000]):
            found.update(dict.fromkeys(asked_in(utterance, questions)))
    return list(found)
