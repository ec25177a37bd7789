"""Fits the grader's weights and thresholds on train dialogues; no label of a person is used.

At a drawn turn of a dialogue, the positive is a question of ANOTHER dialogue that asks for the attribute which the
reply then supplied. The negative asks for what this dialogue supplied before, for an attribute of the domain that it
never touched, or comes from another domain: the same kinds, and as many, as an evaluation meets.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l2a.dialogue.types import Fact
from l2a.judge.embedded.attributes import name_question
from l2a.judge.embedded.grader import Reading, Thresholds, read_question
from l2a.judge.embedded.matching import FIGURES, figures, repetition
from l2a.judge.encoder import Encoder, Vectors
from l2a.judge.protocols import Dialogue, Question

MIN_PAIRS = 20
UNSEEN = 0.5
"""Share of turns whose own domain's attributes the grader may not use while it is calibrated."""
NAMELESS = 0.7
"""Share of items that are shown without a name: other extractors and people name things otherwise, and
thresholds fitted on our own names alone would be far too high for theirs. Chosen on what the benchmark fits on."""
OWN_NAME = 0.15
"""Share of items under the name that the extractor gave; the rest go under the name of another wording."""
CLOSE = 0.1
"""Share of the negatives that may score 0.5 or more. Where `direct` lets more of them pass, there is no band for 0.5:
nobody labels "closely related", and a generous band pays for questions that ask for nothing."""


@dataclass(frozen=True)
class Asked:
    """A single question that was answered: the reply's place, the question, its attribute."""

    place: int
    question: str
    attribute: int


@dataclass(frozen=True)
class Example:
    """A dialogue to calibrate on: what was asked in it, and the facts that it holds."""

    dialogue: Dialogue
    asked: Sequence[Asked]
    facts: Sequence[Fact]


@dataclass(frozen=True)
class _Pair:
    reading: Reading
    right: tuple[int, ...]
    """Places of the items that the question asks for; none for a negative."""
    known: tuple[int, ...]
    """Attributes that the grader may use: for half of the turns not those of the turn's own domain, so that the
    weights and thresholds also suit domains that were never seen."""


def calibrate(examples: Sequence[Example], encoder: Encoder, centres: Vectors, turns: int, seed: int) -> Thresholds:
    """Two logistic regressions, of an item and of a turn; `direct` is where Cohen's kappa is best.

    With fewer than MIN_PAIRS pairs the defaults stay: there is nothing to fit on.
    """
    chance = random.Random(seed)
    pairs = _pairs(examples, turns, chance)
    if len(pairs) < MIN_PAIRS:
        return Thresholds()
    measured = _measured(pairs, encoder, centres)
    chosen = [m[list(p.right)] if p.right else m for p, m in zip(pairs, measured, strict=True)]
    labels = np.concatenate([np.full(len(rows), bool(p.right)) for p, rows in zip(pairs, chosen, strict=True)])
    weight = _item_weights(np.concatenate(chosen), labels)
    pairs = _pairs(examples, turns, chance)
    best = np.array(
        [(m @ np.array(weight[:FIGURES]) + weight[FIGURES]).max() for m in _measured(pairs, encoder, centres)]
    )
    found = encoder.encode([text for pair in pairs for text in pair.reading.texts()])
    again = np.array([repetition(p.reading.parts[:1], p.reading.answered, found)[0] for p in pairs])
    truth = np.array([bool(p.right) for p in pairs])
    turn = _turn_weights(best, again, truth)
    probability = 1.0 / (1.0 + np.exp(-(turn[0] * best + turn[1] * again + turn[2])))
    direct = best_threshold(probability, truth)
    close = round(float(np.quantile(probability[~truth], 1 - CLOSE)), 4)
    return Thresholds(weight, turn, direct, min(direct, close))


def _measured(pairs: Sequence[_Pair], encoder: Encoder, centres: Vectors) -> list[NDArray[np.float64]]:
    """The figures of each pair's question with each of its items, shape (items, FIGURES)."""
    found = encoder.encode([text for pair in pairs for text in pair.reading.texts()])
    return [figures(p.reading.parts[:1], p.reading.items, found, centres[list(p.known)])[0] for p in pairs]


def _turn_weights(best: NDArray[np.float64], again: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, ...]:
    """Weights of the best item's score and of repetition, and a bias; repetition never speaks for a question."""
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped,unused-ignore]

    model = LogisticRegression(C=10.0, max_iter=1000).fit(np.stack([best, again], axis=1), truth)
    if model.coef_[0, 1] > 0:
        model.fit(np.stack([best, np.zeros_like(again)], axis=1), truth)
    return (*_rounded(model.coef_[0]), *_rounded(model.intercept_))


def _item_weights(rows: NDArray[np.float64], labels: NDArray[np.bool_]) -> tuple[float, ...]:
    """Weights of the figures and a bias. More likeness never speaks against a match: a negative weight becomes 0."""
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped,unused-ignore]

    used = np.ones(FIGURES, dtype=bool)
    while True:
        model = LogisticRegression(C=1.0, max_iter=1000, class_weight="balanced").fit(rows * used, labels)
        negative = used & (model.coef_[0] < 0)
        if not negative.any():
            return (*_rounded(model.coef_[0] * used), *_rounded(model.intercept_))
        used &= ~negative


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)


def _pairs(examples: Sequence[Example], turns: int, chance: random.Random) -> list[_Pair]:
    wordings: dict[int, list[tuple[int, str]]] = {}
    domains: dict[str | None, set[int]] = {}
    for i, example in enumerate(examples):
        for asked in example.asked:
            wordings.setdefault(asked.attribute, []).append((i, asked.question))
            domains.setdefault(example.dialogue.domain, set()).add(asked.attribute)
    turns_of = [(i, k) for i, example in enumerate(examples) for k in range(len(example.asked))]
    found: list[_Pair] = []
    for i, k in sorted(chance.sample(turns_of, min(turns, len(turns_of)))):
        made = _turn(examples[i], i, k, wordings, domains, chance)
        found += made if len(made) == 2 else []
    return found


def _turn(
    example: Example,
    i: int,
    k: int,
    wordings: Mapping[int, Sequence[tuple[int, str]]],
    domains: Mapping[str | None, set[int]],
    chance: random.Random,
) -> list[_Pair]:
    """The positive and the negative of one turn; fewer where one cannot be had."""
    messages = example.dialogue.messages
    now = example.asked[k]
    end = now.place
    while end > 0 and messages[end - 1].role != "user":
        end -= 1
    future = [fact for fact in example.facts if fact.message_index >= end]
    right = tuple(n for n, fact in enumerate(future) if fact.message_index == now.place)
    ahead = {asked.attribute for asked in example.asked[k:]}
    past = {asked.attribute for asked in example.asked[:k]} - ahead
    own = domains[example.dialogue.domain]
    kinds = [past, own - ahead - past, set(wordings) - own]
    start = chance.randrange(3)

    def shown(fact: Fact) -> str:
        """The fact under its name, under that of another wording, or without: others name things otherwise."""
        known = [asked.attribute for asked in example.asked if asked.place == fact.message_index]
        draw = chance.random()
        if draw < NAMELESS:
            return fact.value
        if not known or draw < NAMELESS + OWN_NAME:
            return str(fact)
        return f"{name_question(chance.choice(wordings[known[0]])[1])}: {fact.value}"

    items = [shown(fact) for fact in future]
    known = tuple(sorted(set(wordings) - own if chance.random() < UNSEEN else set(wordings)))

    def pair(attributes: set[int], places: tuple[int, ...]) -> _Pair | None:
        options = [question for a in sorted(attributes) for at, question in wordings[a] if at != i]
        if not options:
            return None
        question = Question(chance.choice(options), items, messages[:end])
        reading = read_question(question)
        return _Pair(reading, places, known) if isinstance(reading, Reading) and reading.parts else None

    positive = pair({now.attribute}, right) if right else None
    negatives = (pair(kind, ()) for kind in kinds[start:] + kinds[:start])
    negative = next((made for made in negatives if made), None)
    return [made for made in (positive, negative) if made]


def best_threshold(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """The threshold with the highest Cohen's kappa of (score >= threshold) and label; the highest of equals."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    n, positives = len(labels), int(labels.sum())
    predicted = np.arange(1, n + 1)
    agree = (hits + (n - positives) - (predicted - hits)) / n
    chance = (predicted * positives + (n - predicted) * (n - positives)) / n**2
    kappa = (agree - chance) / np.maximum(1 - chance, 1e-9)
    return round(float(scores[order][int(kappa.argmax())]), 4)
