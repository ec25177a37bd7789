"""How near a text is to whatever stands on the other side: some questions are near to every reply.

A cosine of .5 says more for "How many guests will come?" than for "And which one?". So what a text's nearest ones
among logged questions or replies average is taken off its cosines, as in cross-domain similarity local scaling
(https://arxiv.org/abs/1710.04087, section 2.3); the logs of other domains serve as well.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from l2a.judge.encoder import Encoder, Vectors

TEXTS = 300
"""Questions and replies that are remembered, each."""
NEAREST = 10


@dataclass(frozen=True)
class Crowd:
    """Unit vectors of logged questions and of logged replies, shape (n, size) each, as float16; n may be 0."""

    questions: NDArray[np.float16]
    replies: NDArray[np.float16]

    def around_question(self, vectors: Vectors) -> NDArray[np.float64]:
        """How near each question is to its nearest replies, on average; shape (len(vectors),)."""
        return _nearest(vectors, self._replies)

    def around_reply(self, vectors: Vectors) -> NDArray[np.float64]:
        """How near each reply, or item, is to its nearest questions, on average; shape (len(vectors),)."""
        return _nearest(vectors, self._questions)

    # Every question and item that is graded is compared with them: converted once.
    @cached_property
    def _questions(self) -> NDArray[np.float64]:
        return self.questions.astype(np.float64)

    @cached_property
    def _replies(self) -> NDArray[np.float64]:
        return self.replies.astype(np.float64)


def crowd(exchanges: Sequence[tuple[str, str]], encoder: Encoder, seed: int) -> Crowd:
    """Learns from (question, reply) of the logs."""
    chance = random.Random(seed)
    sides = (sorted({question for question, _ in exchanges}), sorted({reply for _, reply in exchanges}))
    drawn = [chance.sample(side, min(TEXTS, len(side))) for side in sides]
    return Crowd(*(encoder.vectors(texts).astype(np.float16) for texts in drawn))


def _nearest(vectors: Vectors, others: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(others):
        return np.zeros(len(vectors))
    cosines = vectors.astype(np.float64) @ others.T
    return np.asarray(np.sort(cosines, axis=1)[:, -NEAREST:].mean(axis=1))
