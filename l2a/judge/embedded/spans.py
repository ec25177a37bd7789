"""Candidate values of a user message: runs of telling words, in the user's own words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from l2a.judge.embedded.text import words

_JOIN = frozenset({"of", "the", "this", "next", "'s", "s"})
_CLOCK = frozenset({"am", "pm", "a.m", "p.m", "o'clock"})
_BREAK = re.compile(r"[.!?;。！？；]\s|[,，、]|\n|[。！？]")
MAX_SPANS = 40
"""Values that one message may hold; the rest of a message that is a book is not read."""


@dataclass(frozen=True)
class Span:
    """text[start:end] is a candidate value; `first` and `last` are the places of its words."""

    start: int
    end: int
    first: int
    last: int


def spans(text: str, keeps: Callable[[int], bool]) -> list[Span]:
    """Runs of words that `keeps` (by place in `words(text)`) lets pass; "of", "this" inside a run stay in it.

    A word that follows a kept one without a space belongs to it ("6th", "10:30"), and "am" or "pm" to its number.
    """
    said = words(text)
    found: list[list[int]] = []
    for j, (word, start, _) in enumerate(said):
        follows = bool(found) and found[-1][1] == j - 1
        glued = follows and said[j - 1][2] == start and not _wide(word)
        clock = follows and word in _CLOCK and said[j - 1][0].isdigit()
        if not (glued or clock or keeps(j)):
            continue
        last = found[-1][1] if found else -1
        gap = [w for w, _, _ in said[last + 1 : j]]
        if found and all(w in _JOIN for w in gap) and not _BREAK.search(text[said[last][2] : start]):
            found[-1][1] = j
        elif len(found) == MAX_SPANS:
            break
        else:
            found.append([j, j])
    return [Span(said[a][1], said[b][2], a, b) for a, b in found]


def _wide(word: str) -> bool:
    return len(word) == 1 and ord(word) > 0x2E7F
