"""The embedded grader: does an utterance ask for an item of I*_t? Read from the text of both alone.

An item is "attribute: value", from whichever extractor or person. A question scores against an item by how near it is
to the item and to its attribute; against what was asked and answered before, by how near it is to those questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l2a.dialogue.types import STOP_MARK, Message
from l2a.judge.embedded.guard import readable
from l2a.judge.embedded.listing import lists_topics
from l2a.judge.embedded.matching import FIGURES, Item, figures, repetition
from l2a.judge.embedded.replies import refuses
from l2a.judge.embedded.text import questions, topical
from l2a.judge.encoder import Encoded, Encoder, Vectors
from l2a.judge.protocols import Judgement, Question

MAX_ITEMS = 64
"""Items of one information set that are read."""
MAX_QUESTIONS = 12
"""Single questions of one utterance that are read; whoever asks more asks several things at once anyway."""
ONE_TOPIC = 0.55
"""Two questions of one utterance with a smaller cosine are two topics, and the utterance gets at most .5."""


@dataclass(frozen=True)
class Thresholds:
    """Learnt on held-out train dialogues. `item`: a weight per figure of `matching`, and a bias; `turn`: weights of the
    best item's score and of `repetition`, and a bias. A probability from `direct` on gives 1.0, from `close` on 0.5."""

    item: tuple[float, ...] = (2.0, 3.0, 0.0, 0.0, 1.5, 3.0, -3.0)
    turn: tuple[float, ...] = (1.0, -1.0, 0.0)
    direct: float = 0.5
    close: float = 0.3


class EmbeddedGrader:
    """Implements `l2a.judge.protocols.Grader` with what `fit` learnt. Deterministic."""

    def __init__(self, name: str, encoder: Encoder, centres: Vectors, thresholds: Thresholds) -> None:
        """`centres`: the attributes' questions in the space of `encoder`, shape (K, size)."""
        self._name = name
        self._encoder = encoder
        self._centres = centres
        self.thresholds = thresholds

    @property
    def name(self) -> str:
        """The judge's version: "embedded-" and 12 hexadecimal digits."""
        return self._name

    def grade(self, questions: Sequence[Question]) -> list[Judgement]:
        """One judgement per question; each text of the batch is encoded once. A failure is one with an error."""
        prepared = [read_question(question) for question in questions]
        found = self._encoder.encode([t for p in prepared if isinstance(p, Reading) for t in p.texts()])
        return [p if isinstance(p, Judgement) else self._judge(p, found) for p in prepared]

    def probabilities(self, questions: Sequence[Question]) -> list[float]:
        """The probability behind each grade: that the question asks for an item. 0 where it asks for nothing."""
        prepared = [read_question(question) for question in questions]
        found = self._encoder.encode([t for p in prepared if isinstance(p, Reading) for t in p.texts()])
        return [float(self._score(p, found).max()) if isinstance(p, Reading) and p.parts else 0.0 for p in prepared]

    def _score(self, p: Reading, found: Mapping[str, Encoded]) -> NDArray[np.float64]:
        """Probability of each single question of the utterance that it asks for an item."""
        weight, turn = self.thresholds.item, self.thresholds.turn
        item = figures(p.parts, p.items, found, self._centres) @ np.array(weight[:FIGURES]) + weight[FIGURES]
        z = turn[0] * item.max(axis=1) + turn[1] * repetition(p.parts, p.answered, found) + turn[2]
        return np.asarray(np.round(1.0 / (1.0 + np.exp(-z)), 4))

    def _judge(self, p: Reading, found: Mapping[str, Encoded]) -> Judgement:
        if not p.parts:
            return Judgement(r_a=0.0, asks=p.asks)
        best = float(self._score(p, found).max())
        grade = 1.0 if best >= self.thresholds.direct else 0.5 if best >= self.thresholds.close else 0.0
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
        return [*self.parts, *self.answered, *(t for i in self.items for t in (i.whole, i.attribute, i.value))]


def read_question(question: Question) -> Reading | Judgement:
    """What a judgement needs, or the judgement that says why there can be none."""
    if not isinstance(question.text, str):
        return Judgement(None, None, f"the utterance is {type(question.text).__name__}, not text")
    items = [item.strip() for item in question.information if isinstance(item, str) and item.strip()][:MAX_ITEMS]
    if not items:
        return Judgement(None, None, "the information set is empty: a STOP turn needs no grader")
    text = "" if STOP_MARK in question.text else readable(question.text, items)
    parts = topical(text)[:MAX_QUESTIONS]
    return Reading(
        bool(questions(text)),
        parts,
        tuple(Item.read(item) for item in items),
        tuple(answered_questions(question.context)),
    )


def answered_questions(context: Sequence[Message]) -> list[str]:
    """Single questions of the context that the user answered, without a refusal, before the next expert utterance."""
    found: dict[str, None] = {}
    pending: tuple[str, ...] = ()
    for message in context:
        if message.role == "assistant":
            pending = questions(message.content)
        elif message.role == "user" and pending:
            if not refuses(message.content[:2000]):
                found.update(dict.fromkeys(pending))
            pending = ()
    return list(found)
