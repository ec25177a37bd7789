"""What experts ask for: single questions of the train logs, clustered; a cluster is an attribute.

Its name is made of its own words.

Average linkage on cosine distance. A question is its embedding and, beside it, the mean embedding of the replies that
it got: "when are you leaving" and "where are you leaving from" look alike until one sees the answers. A cluster must
have been asked a minimum of times, so that a question of one dialogue alone defines nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l2a.judge.embedded.text import content_words, stem
from l2a.judge.encoder import Encoder, Vectors

LINK_DISTANCE = 0.45
"""Two groups of questions further apart than this (mean cosine distance) stay two attributes."""
REPLY_WEIGHT = 0.3
"""Share of the replies in the similarity of two questions."""
MAX_QUESTIONS = 2500
"""Distinct questions that are clustered: the most asked ones; the others join the nearest centre."""
NAME_WORDS = 3


@dataclass(frozen=True)
class Attributes:
    """The learnt attributes. `names[k]` belongs to `centres[k]`, shape (K, 384); `asked[k]` counts the questions."""

    names: tuple[str, ...]
    centres: Vectors
    asked: tuple[int, ...]

    def nearest(self, vectors: Vectors) -> tuple[np.ndarray, np.ndarray]:
        """For each question vector: index of the nearest attribute (-1 without any) and its cosine."""
        if not len(self.names) or not len(vectors):
            return np.full(len(vectors), -1), np.zeros(len(vectors), dtype=np.float32)
        scores = vectors @ self.centres.T
        best = scores.argmax(axis=1)
        return best, scores[np.arange(len(vectors)), best]


def learn_attributes(
    counts: Counter[str], replies: Mapping[str, Sequence[str]], encoder: Encoder, min_asks: int
) -> Attributes:
    """Clusters the questions of `counts` (text -> times asked); `replies`: what each got when it was asked alone.

    Fewer than two questions give no attribute.
    """
    ranked = sorted(counts, key=lambda q: (-counts[q], q))[:MAX_QUESTIONS]
    if len(ranked) < 2:
        return Attributes((), np.zeros((0, encoder.size), dtype=np.float32), ())
    from scipy.cluster.hierarchy import fcluster, linkage  # type: ignore[import-untyped,unused-ignore]

    vectors = encoder.vectors(ranked)
    seen = _with_replies(ranked, vectors, replies, encoder)
    labels = fcluster(linkage(seen, "average", metric="cosine"), LINK_DISTANCE, "distance")
    groups: dict[int, list[int]] = {}
    for i, label in enumerate(labels):
        groups.setdefault(int(label), []).append(i)
    kept = [g for g in groups.values() if sum(counts[ranked[i]] for i in g) >= min_asks]
    kept.sort(key=lambda g: (-sum(counts[ranked[i]] for i in g), ranked[g[0]]))
    centres = []
    for group in kept:
        weight = np.sqrt([counts[ranked[i]] for i in group])[:, None].astype(np.float32)
        centre = (vectors[group] * weight).sum(0)
        centres.append(centre / max(float(np.linalg.norm(centre)), 1e-9))
    names = name_groups([[(ranked[i], counts[ranked[i]]) for i in group] for group in kept])
    return Attributes(
        tuple(names),
        np.stack(centres) if centres else np.zeros((0, encoder.size), dtype=np.float32),
        tuple(sum(counts[ranked[i]] for i in group) for group in kept),
    )


def _with_replies(
    ranked: Sequence[str], vectors: Vectors, replies: Mapping[str, Sequence[str]], encoder: Encoder
) -> NDArray[np.float64]:
    """Question vectors with mean reply vectors beside them, shape (n, 768); zeros where no reply is known."""
    found = encoder.encode([text for question in ranked for text in replies.get(question, ())])
    every = [np.mean([found[t].vector for t in replies[q]], axis=0) if replies.get(q) else None for q in ranked]
    known = [mean for mean in every if mean is not None]
    centre = np.mean(known, axis=0) if known else np.zeros(encoder.size)
    beside = np.zeros(vectors.shape)
    for row, mean in enumerate(every):
        if mean is not None:
            beside[row] = (mean - centre) / max(float(np.linalg.norm(mean - centre)), 1e-9)
    return np.concatenate([(1 - REPLY_WEIGHT) ** 0.5 * vectors, REPLY_WEIGHT**0.5 * beside], axis=1)


def name_groups(groups: Sequence[Sequence[tuple[str, int]]]) -> list[str]:
    """A short name for each group of (question, times asked): its most telling words, in the order they are said."""
    per_group = [Counter[str]() for _ in groups]
    order: list[dict[str, list[float]]] = [{} for _ in groups]
    for k, group in enumerate(groups):
        for question, times in group:
            said = content_words(question)
            for place, word in enumerate(dict.fromkeys(said)):
                per_group[k][word] += times
                order[k].setdefault(word, []).append(place / max(len(said), 1))
    spread = Counter(word for words in per_group for word in words)
    names: list[str] = []
    for k, group in enumerate(groups):
        asked = sum(times for _, times in group)
        weight = {w: n / asked * (0.5 + np.log1p(len(groups) / spread[w])) for w, n in per_group[k].items()}
        ranked = sorted(weight, key=lambda w: (-weight[w], w))
        once = {stem(w): w for w in reversed(ranked)}
        top = [w for w in ranked if once[stem(w)] == w and weight[w] >= 0.35 * weight[ranked[0]]][:NAME_WORDS]
        top.sort(key=lambda w: (float(np.mean(order[k][w])), w))
        name = " ".join(top) or " ".join(group[0][0].lower().strip(" ?？؟.").split()[:4])
        same = sum(other == name or other.startswith(f"{name} (") for other in names)
        names.append(f"{name} ({same + 1})" if same else name)
    return names


def name_question(question: str) -> str:
    """A name for a question that no attribute stands for: its own telling words, at most four."""
    said = list(dict.fromkeys(content_words(question)))
    return " ".join(said[-4:]) or " ".join(question.lower().strip(" ?？؟.").split()[:4])
