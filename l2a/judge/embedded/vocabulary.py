"""Which words are values: counted in the train logs, as words of replies against words of openings and questions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from l2a.dialogue.types import Message
from l2a.judge.embedded.text import questions, words

SHORT = 4
"""A reply of at most so many words is, as a whole, a value."""


@dataclass(frozen=True)
class Vocabulary:
    """Log-odds of a word to be a value; words never seen are values if they hold a digit or start upper-case."""

    odds: dict[str, float]

    def telling(self, said: Sequence[str]) -> bool:
        """Whether a run of words looks like a value."""
        return max((self.odds.get(w, 1.0 if any(c.isdigit() for c in w) else 0.0) for w in said), default=-1.0) > 0.5


def learn_vocabulary(dialogues: Iterable[Sequence[Message]], min_count: int = 2) -> Vocabulary:
    """Counts each word in short replies, and in everything else that users open with and experts ask."""
    short, other = Counter[str](), Counter[str]()
    for messages in dialogues:
        pending: tuple[str, ...] = ()
        for message in messages:
            said = {word for word, _, _ in words(message.content[:2000])}
            if message.role == "assistant":
                pending = questions(message.content)
                other.update({word for q in pending for word, _, _ in words(q)})
            elif message.role == "user":
                (short if pending and len(said) <= SHORT else other).update(said)
    total, rest = sum(short.values()) + 1, sum(other.values()) + 1
    odds = {
        w: round(math.log((short[w] + 0.5) / total) - math.log((other[w] + 0.5) / rest), 4)
        for w in sorted(short.keys() | other.keys())
        if short[w] + other[w] >= min_count
    }
    return Vocabulary(odds)
