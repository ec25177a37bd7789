"""How well a single question matches an item of an information set.

An item is "attribute: value", from whichever extractor or person. A question is compared with its words, with the value
alone, with what the user said when it was supplied, and with the question that got it there: four cosines in one fixed
sum, and a little for words that it shares with the attribute's name, less what texts that are near everything have too
much (`crowding`). Weights that are learnt from the logs themselves were tried and are worse on services never seen: the
only labels are the judge's own attributes, so what learns from them finds in the names of items what it put there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l2a.dialogue.types import Message
from l2a.judge.embedded.crowding import Crowd
from l2a.judge.embedded.sources import UNKNOWN, Source, source_of
from l2a.judge.embedded.text import content_words, stem
from l2a.judge.encoder import Encoded

WHOLE, VALUE, SOURCE, ASKED = 0.5, 0.5, 1.0, 0.5
"""Weights of the four cosines."""
SHARED = 0.2
"""Weight of the share of the attribute's words that the question has."""
CROWDED, COMMON = 0.3, 0.3
"""Weights of how near the question is to replies in general, and the item to questions in general."""
REPEATED, NEAR = 0.6, 0.5
"""What a question loses for each unit of cosine above NEAR with one that was asked and answered before."""
SAME = 0.85
"""From this cosine on it is that question once more, unless one that got an item is as near: then it loses AGAIN."""
AGAIN = 9.0


@dataclass(frozen=True)
class Item:
    """An item as the texts that are compared."""

    whole: str
    attribute: str
    value: str
    source: Source = UNKNOWN

    @classmethod
    def read(cls, text: str, future: Sequence[Message] = ()) -> Item:
        """Splits at the first colon; an item without one is both attribute and value."""
        attribute, _, value = text.partition(":")
        whole = text.strip()
        value = value.strip() or whole
        return cls(whole, attribute.strip() or whole, value, source_of(attribute.strip(), value, future))

    def texts(self) -> tuple[str, ...]:
        """All that is compared with a question by meaning."""
        said = (self.source.text,) if self.source.text else ()
        return (self.whole, self.value, *said, *self.source.asked)


def likeness(
    questions: Sequence[str], items: Sequence[Item], found: Mapping[str, Encoded], crowd: Crowd
) -> NDArray[np.float64]:
    """How near each question is to each item, shape (questions, items). `found` holds every text.

    An item of which the source is not known is as near as it is by its own words.
    """
    vectors = np.stack([found[question].vector for question in questions])
    asked = vectors.astype(np.float64)
    words = [{stem(word) for word in content_words(question)} for question in questions]
    result = np.zeros((len(questions), len(items)))
    for k, item in enumerate(items):
        whole = asked @ found[item.whole].vector
        supplied = asked @ found[item.source.text].vector if item.source.text else whole
        before = [asked @ found[question].vector for question in item.source.asked]
        value = asked @ found[item.value].vector
        name = {stem(word) for word in content_words(item.attribute)}
        shared = np.array([len(said & name) / max(len(name), 1) for said in words])
        result[:, k] = WHOLE * whole + VALUE * value + SOURCE * supplied + ASKED * np.max(before or [whole], axis=0)
        result[:, k] += SHARED * shared
    said = np.stack([found[item.source.text or item.whole].vector for item in items])
    return result - CROWDED * crowd.around_question(vectors)[:, None] - COMMON * crowd.around_reply(said)[None, :]


def repetition(
    questions: Sequence[str], answered: Sequence[str], items: Sequence[Item], found: Mapping[str, Encoded]
) -> NDArray[np.float64]:
    """What each question loses for being asked and answered before, shape (questions,)."""
    before = _nearest(questions, answered, found)
    ahead = _nearest(questions, [question for item in items for question in item.source.asked], found)
    again = (before >= SAME) & (before > ahead)
    return np.asarray(REPEATED * np.maximum(before - NEAR, 0.0) + AGAIN * again, dtype=np.float64)


def _nearest(questions: Sequence[str], others: Sequence[str], found: Mapping[str, Encoded]) -> NDArray[np.float64]:
    """The cosine of each question with the nearest of the others, 0 where there are none; shape (questions,)."""
    if not others:
        return np.zeros(len(questions))
    asked = np.stack([found[question].vector for question in questions]).astype(np.float64)
    return np.asarray((asked @ np.stack([found[other].vector for other in others]).T).max(axis=1))
