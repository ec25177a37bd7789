"""Where an item of I*_t comes from: what the user said later that supplies it, and the question that got it there.

An item is its words alone; the user's own sentence and the expert's question before it say the same at greater length,
in the words of people who talk rather than of a form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from l2a.dialogue.asking import last_utterance
from l2a.dialogue.types import Message
from l2a.judge.embedded.lexicon import EMPTY_WORDS, STOP_WORDS
from l2a.judge.embedded.text import (
    MAX_CHARS,
    asked_in,
    content_words,
    sentence_spans,
    stem,
    topical,
    unspaced,
    words,
)

MAX_MESSAGES = 200
"""Messages of the future that are looked through."""
SHORT = 200
"""A source has about so many characters at most: of a longer message, the sentence that says most of the value."""
ENOUGH = 0.5
"""Share of a value's terms that its source holds, at least; people and LLMs write values down in words of their own."""


@dataclass(frozen=True)
class Source:
    """What supplied an item, empty where it was not found; and the single questions just before, if any."""

    text: str = ""
    asked: tuple[str, ...] = ()


UNKNOWN = Source()
"""Nobody said it, or what was said is not known, or could be one thing as well as another."""


@dataclass(frozen=True)
class _Value:
    """What is looked for."""

    plain: str
    wanted: frozenset[str]
    telling: bool
    """Whether it says something by itself: "yes" and "2" are answers to many a question."""

    @classmethod
    def read(cls, text: str) -> _Value:
        said = [word for word, _, _ in words(text)]
        telling = any(not word.isdigit() for word in frozenset(said) - STOP_WORDS - EMPTY_WORDS)
        return cls(text.lower(), _telling(text) if telling else frozenset(said), telling)

    def share(self, text: str) -> float:
        """The share of its terms that the text holds, and 1 more where it holds the whole as it stands."""
        whole = self.plain in text.lower()
        if not self.wanted:  # signs only
            return 2.0 * whole
        share = len(self.wanted & _terms(text)) / len(self.wanted)
        return share + (share == 1.0 and whole)


def source_of(attribute: str, value: str, future: Sequence[Message]) -> Source:
    """The user message that holds the value word for word, else the one with most of its terms.

    Of several that do so alike, the one that answers a question in words of the attribute, then the first; a value that
    is no more than a yes or a number has no source where no question tells which of them is meant.
    """
    looked_for = _Value.read(value)
    named = {stem(word) for word in content_words(attribute)}
    found = []
    for place, message in enumerate(future[:MAX_MESSAGES]):
        if message.role == "user":
            share = looked_for.share(message.content[:MAX_CHARS])
            if share >= ENOUGH:
                asked = asked_in(last_utterance(future, place), topical)
                alike = len(named & {stem(word) for question in asked for word in content_words(question)})
                found.append((share, alike, -place, asked))
    if not found:
        return UNKNOWN
    share, alike, place, asked = max(found)
    if not looked_for.telling and not alike and sum(one[0] == share for one in found) > 1:
        return UNKNOWN
    return Source(_shortened(future[-place].content[:MAX_CHARS], looked_for), asked)


def _shortened(text: str, value: _Value) -> str:
    if len(text) > SHORT:
        text = max((text[start:end] for start, end in sentence_spans(text)), key=value.share, default=text)
    if len(text) > SHORT:  # no full stops
        places = [text.lower().find(value.plain), *(at for word, at, _ in words(text) if word in value.wanted)]
        middle = next((at for at in places if at >= 0), 0) + len(value.plain) // 2
        start = max(0, min(middle - SHORT // 2, len(text) - SHORT))
        text = text[start : start + SHORT]
    return text


@lru_cache(maxsize=20_000)
def _terms(text: str) -> frozenset[str]:
    """What a text holds: its words, and in scripts without spaces pairs of characters beside single ones."""
    return frozenset(word for word, _, _ in words(text)) | _telling(text)


def _telling(text: str) -> frozenset[str]:
    """Words that tell something, and in scripts without spaces pairs of characters: a single one is in many words."""
    found = set()
    said = words(text)
    for i, (word, start, end) in enumerate(said):
        if not unspaced(word):
            found |= {word} - STOP_WORDS
            continue
        after = said[i + 1] if i + 1 < len(said) else ("", -1, -1)
        before = said[i - 1] if i else ("", -1, -1)
        if after[1] == end and unspaced(after[0]):
            found.add(word + after[0])
        elif not (before[2] == start and unspaced(before[0])):
            found.add(word)
    return frozenset(found)
