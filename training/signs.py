"""Signs of a policy that pleases its grader instead of asking well, read off its words alone."""

from __future__ import annotations

from collections.abc import Sequence

from l2a.dialogue.types import Message
from l2a.judge.embedded.grader import answered_questions
from l2a.judge.embedded.text import content_words, stem, topical, unspaced, words

RUN, UNSPACED_RUN = 3, 6
"""So many words in a row (characters, in scripts without spaces), said twice within one question, are no way to ask."""


def repeats_itself(text: str) -> bool:
    """Whether a single question says `RUN` words in a row twice: "would you like to pay would you like to see"."""
    return any(_twice([word for word, _, _ in words(question)]) for question in topical(text))


def asks_again(text: str, context: Sequence[Message]) -> bool:
    """Whether a single question names just what one names that the user answered before, whatever its wording."""
    answered = {_named(question) for question in answered_questions(context)} - {frozenset()}
    return any(_named(question) in answered for question in topical(text))


def _twice(said: Sequence[str]) -> bool:
    length = UNSPACED_RUN if any(map(unspaced, said)) else RUN
    runs = [tuple(said[i : i + length]) for i in range(len(said) - length + 1)]
    return len(runs) > len(set(runs))


def _named(question: str) -> frozenset[str]:
    return frozenset(map(stem, content_words(question)))
