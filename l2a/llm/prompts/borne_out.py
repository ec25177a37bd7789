"""Whether a message bears out what a model says that it supplied: half of the value's words have to stand there.

A word stands there as it is, with another ending ("smoke", "smoking"), or within a longer one; words of one or two
letters count where there are no others. Of a script without spaces, pairs of characters stand there near each other.
Where the message gives numbers in digits, half of the value's have to be among them, too: "25 years" is not what "for 3
years" says. A short reply ("yes", "the second one") takes its meaning from what the expert said before it, so
words of that count, too.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict

from l2a.dialogue.unspaced import MARKS, UNSPACED

RULE = 2
"""Raised whenever another value would stand: part of an LLM extractor's name, as the version of its prompts is."""

SHORT_REPLY = 12
"""Letters and digits of a reply that may stand for what the question before it says."""
SHARE = 0.5
"""Of a value's words: what one paraphrases has that, and an invention mostly not."""
STEM, STEM_SHARE = 4, 0.55
"""Two words are one when they begin with so many letters alike, and with this share of the longer one's."""
SMALL = 2
"""Letters of words that mostly say little."""
NEAR = 3
"""Characters from the first of a pair to the second, at most."""
_WORD = re.compile(rf"{UNSPACED}+|\d+|(?:(?!{UNSPACED})[^\W\d_]{MARKS}*)+")
_UNSPACED = re.compile(UNSPACED)


def borne_out(value: str, message: str, question: str = "") -> bool:
    """Whether `message`, said after `question`, may have supplied `value`. A value without a word never is."""
    said = _said(message)
    if said.letters <= SHORT_REPLY:
        said = _said(f"{question} {message}")
    words = _words(value)
    wanted = [word for word in words if len(word) > SMALL or not word.isalpha() or _UNSPACED.match(word)] or words
    numbers = [word for word in words if word.isdecimal()] if said.counts else []
    return bool(wanted) and all(sum(word in said for word in some) >= SHARE * len(some) for some in (wanted, numbers))


class _Said:
    """The words of a message, each looked up in one step: a message may be a megabyte."""

    def __init__(self, text: str) -> None:
        self.letters = sum(map(str.isalnum, text))
        words = _words(text, NEAR)
        self._all = set(words)
        self._joined = " ".join(words)
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for word in self._all:
            self._by_stem[word[:STEM]].append(word)
        self.counts = any(map(str.isdecimal, self._all))

    def __contains__(self, word: str) -> bool:
        if word in self._all:
            return True
        if len(word) < STEM or word.isdecimal():
            return False
        return word in self._joined or any(_alike(word, other) for other in self._by_stem.get(word[:STEM], ()))


@functools.lru_cache(maxsize=32)
def _said(text: str) -> _Said:
    return _Said(text)


def _words(text: str, near: int = 1) -> list[str]:
    """Words and numbers; of a script without spaces each pair of characters at most `near` apart, or a single one."""
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        if len(word) > 1 and _UNSPACED.match(word):
            found += [a + b for gap in range(1, near + 1) for a, b in zip(word, word[gap:], strict=False)]
        else:
            found.append(word)
    return found


def _alike(one: str, other: str) -> bool:
    longest = max(len(one), len(other))
    shared = next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(min(one, other, key=len))
    )
    return shared >= STEM and shared >= STEM_SHARE * longest
