"""The embedded grader: does an utterance ask for an item of I*_t? Read from the text of both alone.

An item is "attribute: value", from whichever extractor or person. A question scores against an item by how near it is
to the item and to its attribute; against what was asked and answered before, by how near it is to those questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l2a.dialogue.types import STOP_MARK, Message
from l2a.judge.embedded.guard import readable
from l2a.judge.embedded.replies import refuses
from l2a.judge.embedded.text import asks, questions
from l2a.judge.encoder import Encoder, Vectors
from l2a.judge.protocols import Judgement, Question

MAX_ITEMS = 64
"""Items of one information set that are read."""
MAX_QUESTIONS = 12
"""Single questions of one utterance that are read; whoever asks more asks several things at once anyway."""
TOPIC_DISTANCE = 0.55
"""Two questions of one utterance with a smaller cosine are two topics, and the utterance gets at most .5."""


@dataclass(frozen=True)
class Thresholds:
    """Learnt on held-out train dialogues. `weights`: item, attribute, value, bias; scores from `direct` on give 1.0."""

    weights: tuple[float, float, float, float] = (4.0, 4.0, 0.0, -4.0)
    direct: float = 0.5
    close: float = 0.35
    repeat: float = 0.85


class EmbeddedGrader:
    """Implements `l2a.judge.protocols.Grader` with what `fit` learnt. Deterministic."""

    def __init__(self, name: str, encoder: Encoder, thresholds: Thresholds) -> None:
        self._name = name
        self._encoder = encoder
        self.thresholds = thresholds

    @property
    def name(self) -> str:
        """The judge's version: "embedded-" and 12 hexadecimal digits."""
        return self._name

    def grade(self, questions: Sequence[Question]) -> list[Judgement]:
        """One judgement per question; each text of the batch is encoded once. A failure is one with an error."""
        prepared = [_prepare(question) for question in questions]
        texts = [t for p in prepared if isinstance(p, _Prepared) for t in p.texts()]
        found = self._encoder.encode(texts)
        return [
            p if isinstance(p, Judgement) else self._judge(p, lambda ts: np.stack([found[t].vector for t in ts]))
            for p in prepared
        ]

    def scores(self, parts: Vectors, items: Vectors, attributes: Vectors, values: Vectors) -> np.ndarray:
        """Probability, shape (parts, items), that a single question asks for an item."""
        w = self.thresholds.weights
        z = w[0] * parts @ items.T + w[1] * parts @ attributes.T + w[2] * parts @ values.T + w[3]
        return np.asarray(np.round(1.0 / (1.0 + np.exp(-z)), 4))

    def _judge(self, p: _Prepared, vectors: object) -> Judgement:
        if not p.asks:
            return Judgement(r_a=0.0, asks=False)
        get = vectors
        assert callable(get)
        parts = get(p.parts)
        score = self.scores(parts, get(p.items), get(p.attributes), get(p.values)).max(axis=1)
        if p.answered:
            repeat = (parts @ get(p.answered).T).max(axis=1)
            nearest = (parts @ get(p.items).T).max(axis=1)
            score = np.where((repeat >= self.thresholds.repeat) & (repeat > nearest), 0.0, score)
        best = float(score.max())
        grade = 1.0 if best >= self.thresholds.direct else 0.5 if best >= self.thresholds.close else 0.0
        if len(p.parts) > 1 and float((parts @ parts.T).min()) < TOPIC_DISTANCE:
            grade = min(grade, 0.5)
        return Judgement(r_a=grade, asks=True)


@dataclass(frozen=True)
class _Prepared:
    asks: bool
    parts: list[str]
    items: list[str]
    attributes: list[str]
    values: list[str]
    answered: list[str]

    def texts(self) -> list[str]:
        return self.parts + self.items + self.attributes + self.values + self.answered if self.asks else []


def _prepare(question: Question) -> _Prepared | Judgement:
    """The texts that a judgement needs, or the judgement that says why there can be none."""
    if not isinstance(question.text, str):
        return Judgement(None, None, f"the utterance is {type(question.text).__name__}, not text")
    items = [item.strip() for item in question.information if isinstance(item, str) and item.strip()]
    if not items:
        return Judgement(None, None, "the information set is empty: a STOP turn needs no grader")
    text = readable(question.text, items)
    parts = list(questions(text))[:MAX_QUESTIONS] if text else []
    if STOP_MARK in question.text or not parts or not any(asks(part) for part in parts):
        parts = []
    split = [item.split(":", 1) if ":" in item else [item, item] for item in items[:MAX_ITEMS]]
    return _Prepared(
        bool(parts),
        parts,
        items[:MAX_ITEMS],
        [a.strip() or v for a, v in split],
        [v.strip() or a for a, v in split],
        answered_questions(question.context),
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
