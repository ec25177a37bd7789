"""Whether a message bears out what a model says that it supplied: half of the value's words have to stand there.

A word stands there as it is, with another ending ("smoke", "smoking"), or within what is written without spaces; words
of one or two letters count where there are no others. A short reply ("yes", "the second one") takes its meaning from
what the expert said before it, so words of that count, too.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict

from l2a.dialogue.unspaced import UNSPACED

SHORT_REPLY = 12
"""Letters and digits of a reply that may stand for what the question before it says."""
SHARE = 0.5
"""Of a value's words: what one paraphrases has that, and an invention mostly not."""
STEM, STEM_SHARE = 4, 0.55
"""Two words are one when they begin with so many letters alike, and with this share of the longer one's."""
SMALL = 2
"""Letters of words that mostly say little."""
_ALONE = re.compile(UNSPACED)
_WORD = re.compile(rf"{UNSPACED}|\d+|[^\W\d_]+")


def borne_out(value: str, message: str, question: str = "") -> bool:
    """Whether `message`, said after `question`, may have supplied `value`. A value without a word never is."""
    said = _said(message)
    if sum(map(len, said.words)) <= SHORT_REPLY:
        said = _said(f"{question} {message}")
    words = _words(value)
    wanted = [word for word in words if len(word) > SMALL or not word.isalpha() or _ALONE.match(word)] or words
    return bool(wanted) and sum(word in said for word in wanted) >= SHARE * len(wanted)


class _Said:
    """The words of a message, each looked up in one step: a message may be a megabyte."""

    def __init__(self, text: str) -> None:
        self.words = _words(text)
        self._all = set(self.words)
        self._unspaced = "".join(self.words)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for word in self._all:
            self._by_stem[word[:STEM]].append(word)

    def __contains__(self, word: str) -> bool:
        if word in self._all:
            return True
        if len(word) < STEM:
            return False
        return word in self._unspaced or any(_alike(word, other) for other in self._by_stem.get(word[:STEM], ()))


@functools.lru_cache(maxsize=32)
def _said(text: str) -> _Said:
    return _Said(text)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _alike(one: str, other: str) -> bool:
    longest = max(len(one), len(other))
    shared = next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(min(one, other, key=len))
    )
    return shared >= STEM and shared >= STEM_SHARE * longest
