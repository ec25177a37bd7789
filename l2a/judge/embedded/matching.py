"""How well a single question matches an item of an information set: six figures that a grade is made of.

An item is "attribute: value", from whichever extractor or person. The figures are cosines of the question with the
item, its attribute and its value; the same above what the item has in common with questions at large (items of a
foreign domain are further from everything); by way of the learnt attributes (item to attribute to question, which joins
a fact to other wordings of the question that once got it); and the words that question and attribute share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l2a.judge.embedded.text import content_words, stem
from l2a.judge.encoder import Encoded, Vectors

FIGURES = 6
UNKNOWN = 0.5
"""An item whose cosine with every attribute stays below is of none of them: it is compared directly."""
_SHARPNESS = 20.0
"""How much the attribute nearest to an item outweighs the others."""


@dataclass(frozen=True)
class Item:
    """An item as the texts that are compared."""

    whole: str
    attribute: str
    value: str

    @classmethod
    def read(cls, text: str) -> Item:
        """Splits at the first colon; an item without one is both attribute and value."""
        attribute, _, value = text.partition(":")
        whole = text.strip()
        return cls(whole, attribute.strip() or whole, value.strip() or whole)


def figures(
    questions: Sequence[str], items: Sequence[Item], found: Mapping[str, Encoded], centres: Vectors
) -> NDArray[np.float64]:
    """Shape (questions, items, FIGURES). `found` holds every text; `centres`: the attributes, shape (K, size)."""
    asked = np.stack([found[q].vector for q in questions])
    whole, attribute, value = (
        np.stack([found[getattr(item, part)].vector for item in items]) for part in ("whole", "attribute", "value")
    )
    result = np.zeros((len(questions), len(items), FIGURES))
    for k, vectors in enumerate((whole, attribute, value)):
        result[:, :, k] = asked @ vectors.T
    if len(centres):
        near = np.full((len(items), len(centres) + 1), _SHARPNESS * UNKNOWN)
        near[:, 1:] = _SHARPNESS * (whole + attribute) @ centres.T / 2
        weight = np.exp(near - near.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        result[:, :, 3] = result[:, :, 0] * weight[:, 0] + (asked @ centres.T) @ weight[:, 1:].T
    else:
        result[:, :, 3] = result[:, :, 0]
    result[:, :, 5] = result[:, :, 0] - (whole @ centres.T).mean(axis=1) if len(centres) else result[:, :, 0]
    names = [{stem(w) for w in content_words(item.attribute)} for item in items]
    for i, question in enumerate(questions):
        said = {stem(w) for w in content_words(question)}
        result[i, :, 4] = [len(said & name) / max(len(name), 1) for name in names]
    return result


def repetition(questions: Sequence[str], answered: Sequence[str], found: Mapping[str, Encoded]) -> NDArray[np.float64]:
    """How near each question is to one that was asked and answered before, shape (questions,); 0 without any."""
    if not answered:
        return np.zeros(len(questions))
    asked = np.stack([found[q].vector for q in questions])
    return np.asarray((asked @ np.stack([found[q].vector for q in answered]).T).max(axis=1), dtype=np.float64)
