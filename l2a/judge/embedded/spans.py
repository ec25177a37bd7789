"""Candidate values of a user message: runs of telling words, in the user's own words."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass

from l2a.judge.embedded.text import STOP_WORDS, words

_JOIN = frozenset("of the this next 's s".split())
_CLOCK = frozenset("am pm a.m p.m o'clock".split())
_BREAK = re.compile(r"[.!?;。！？；]\s|[,，、]|\n|[.!?。！？]$")
MAX_SPANS = 40
"""Values that one message may hold; the rest of a message that is a book is not read."""


@dataclass(frozen=True)
class Span:
    """text[start:end] is a candidate value; `first` and `last` are the places of its words."""

    start: int
    end: int
    first: int
    last: int


def spans(text: str, dropped: Set[str]) -> list[Span]:
    """Runs of words that are neither stop words nor in `dropped`; "of", "this" inside a run stay in it."""
    said = words(text)
    found: list[list[int]] = []
    for j, (word, start, _) in enumerate(said):
        numeric = j > 0 and said[j - 1][0].isdigit()
        glued = j > 0 and said[j - 1][2] == start
        clock = word in _CLOCK and numeric
        if not clock and not (glued and found and found[-1][1] == j - 1):
            if word in STOP_WORDS or word in dropped:
                continue
        last = found[-1][1] if found else -1
        gap = [w for w, _, _ in said[last + 1 : j]]
        if found and all(w in _JOIN for w in gap) and not _BREAK.search(text[said[last][2] : start]):
            found[-1][1] = j
        else:
            if len(found) == MAX_SPANS:
                break
            found.append([j, j])
    return [Span(said[a][1], said[b][2], a, b) for a, b in found]
