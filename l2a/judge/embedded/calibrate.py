"""Fits the grader's weights and thresholds on train dialogues; no label of a person is used.

Positive: a question of another dialogue, of the attribute that this item has. Negative: a question for what this
dialogue supplied before, for another attribute of it, or of another domain. As many of one as of the other.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from l2a.judge.embedded.attributes import Attributes
from l2a.judge.embedded.grader import Thresholds
from l2a.judge.encoder import Encoder

MAX_PAIRS = 1500


@dataclass(frozen=True)
class Ask:
    """A single question of the train logs that was answered: the attribute it asks for and the fact it got."""

    session_id: str
    question: str
    attribute: int
    item: str
    domain: str | None


def calibrate(asks: Sequence[Ask], attributes: Attributes, encoder: Encoder, seed: int) -> Thresholds:
    """Weights by logistic regression, `direct` where Cohen's kappa is best, `close` where one in five is right.

    With fewer than 20 pairs of either kind the defaults stay: there is nothing to fit on.
    """
    pairs = _pairs(asks, seed)
    if sum(y for _, _, y in pairs) < 20:
        return Thresholds()
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped,unused-ignore]

    questions = encoder.vectors([q for q, _, _ in pairs])
    split = [item.split(": ", 1) for _, item, _ in pairs]
    features = np.stack(
        [
            (questions * encoder.vectors([item for _, item, _ in pairs])).sum(1),
            (questions * encoder.vectors([s[0] for s in split])).sum(1),
            (questions * encoder.vectors([s[-1] for s in split])).sum(1),
        ],
        axis=1,
    )
    labels = np.array([y for _, _, y in pairs])
    model = LogisticRegression(C=10.0, max_iter=500).fit(features, labels)
    probability = model.predict_proba(features)[:, 1]
    weights = tuple(round(float(w), 4) for w in (*model.coef_[0], model.intercept_[0]))
    direct = best_threshold(probability, labels)
    return Thresholds(
        weights=(weights[0], weights[1], weights[2], weights[3]), direct=direct, close=round(direct * 0.6, 4)
    )


def _pairs(asks: Sequence[Ask], seed: int) -> list[tuple[str, str, int]]:
    chance = random.Random(seed)
    by_attribute: dict[int, list[Ask]] = {}
    for ask in asks:
        by_attribute.setdefault(ask.attribute, []).append(ask)
    chosen = [asks[i] for i in sorted(chance.sample(range(len(asks)), min(MAX_PAIRS, len(asks))))]
    pairs: list[tuple[str, str, int]] = []
    for ask in chosen:
        mates = [a for a in by_attribute[ask.attribute] if a.session_id != ask.session_id]
        others = [chance.choice(asks) for _ in range(12)]
        same_domain = [a for a in others if a.attribute != ask.attribute and a.domain == ask.domain]
        other_domain = [a for a in others if a.attribute != ask.attribute and a.domain != ask.domain]
        if not mates or not (same_domain or other_domain):
            continue
        pairs.append((chance.choice(mates).question, ask.item, 1))
        pool = same_domain if same_domain and (not other_domain or chance.random() < 0.67) else other_domain
        pairs.append((pool[0].question, ask.item, 0))
    return pairs


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """The threshold with the highest Cohen's kappa of (score >= threshold) and label; the lowest of equals."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    n, positives = len(labels), int(labels.sum())
    predicted = np.arange(1, n + 1)
    agree = (hits + (n - positives) - (predicted - hits)) / n
    chance = (predicted * positives + (n - predicted) * (n - positives)) / n**2
    kappa = (agree - chance) / np.maximum(1 - chance, 1e-9)
    return round(float(scores[order][int(kappa.argmax())]), 4)
