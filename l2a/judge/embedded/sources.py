"""Where an item of I*_t comes from: what the user said later that supplies it, and the question that got it there.

An item is its words alone; the user's own sentence and the expert's question before it say the same at greater length,
in the words of people who talk rather than of a form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from l2a.dialogue.types import Message
from l2a.judge.embedded.text import MAX_CHARS, sentence_spans, topical, words

MAX_MESSAGES = 200
"""Messages of the future that are looked through."""
SHORT = 200
"""A message of at most so many characters is a source as a whole, a longer one by the sentence that says most of it."""
ENOUGH = 0.5
"""Share of a value's words that its source holds, at least; people and LLMs write values down in words of their own."""


@dataclass(frozen=True)
class Source:
    """What supplied an item, empty where it was not found; and the single questions just before, if any."""

    text: str = ""
    asked: tuple[str, ...] = ()


UNKNOWN = Source()
"""Nobody said it, or what was said is not known."""


def source_of(value: str, future: Sequence[Message]) -> Source:
    """The first user message of the future that holds the value word for word, else the one with most of its words."""
    wanted = {word for word, _, _ in words(value)}
    plain = value.lower()
    best, place = 0.0, -1
    for at, message in enumerate(future[:MAX_MESSAGES]):
        if message.role == "user":
            share = _share(plain, wanted, message.content[:MAX_CHARS])
            if share > best:
                best, place = share, at
    if place < 0 or best < ENOUGH:
        return UNKNOWN
    text = future[place].content[:MAX_CHARS]
    if len(text) > SHORT:
        said = [text[start:end] for start, end in sentence_spans(text)]
        text = max(said, key=lambda sentence: _share(plain, wanted, sentence), default=text)
    before = place - 1
    while before >= 0 and future[before].role != "assistant":
        before -= 1
    return Source(text, topical(future[before].content) if before >= 0 else ())


def _share(plain: str, wanted: set[str], text: str) -> float:
    """The share of the value's words that the text holds, and 1 more where it holds all of them as they stand."""
    share = len(wanted & {word for word, _, _ in words(text)}) / max(len(wanted), 1)
    return share + (share == 1.0 and plain in text.lower())
