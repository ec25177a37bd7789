"""Plain text work of the embedded judge: sentences, questions, words. No model, any script.

English helps where it can (question words, stop words); other languages stand on question marks and statistics.
"""

from __future__ import annotations

import re
from functools import lru_cache

MAX_CHARS = 4000
"""What is read of a message; a longer one is a document, not an answer."""

QUESTION_MARKS = "?？؟⸮՞፧⁇❓❔;"
_MARK = re.compile(f"[{QUESTION_MARKS[:-1]}]")
_SENTENCE = re.compile(
    f"[^.!。！…\n{QUESTION_MARKS[:-1]}]*(?:\\.(?=\\w)[^.!。！…\n{QUESTION_MARKS[:-1]}]*)*[.!。！…\n{QUESTION_MARKS[:-1]}]*"
)
_ABBREVIATION = re.compile(r"\b(?:dr|mr|mrs|ms|st|ave|no|vs|etc|approx|e\.g|i\.e|a\.m|p\.m|[a-z])\.$", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|[^\w\s]|_", re.UNICODE)
_WIDE = re.compile(r"[぀-ヿ㐀-䶿一-鿿가-힯฀-๿]")

_WH = "what|when|where|who|whom|whose|which|why|how"
_AUX = "is|are|was|were|do|does|did|can|could|would|will|should|shall|may|might|have|has|am"
_SPLIT = re.compile(
    rf"(?:,\s*|\s+)(?:and|or|also|as well as)\s+(?:also\s+|then\s+)?(?=(?:(?:at|on|in|from|to|for|with)\s+)?(?:{_WH})\b)"
    rf"|,\s*(?:and|or)\s+(?=(?:{_AUX})\s+(?:you|i|there|it|this|that|we|the|your)\b)",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    r"\b(?:please|kindly)\b.{0,40}\b(?:tell|give|provide|enter|state|specify|describe|share|send|confirm|name|let)\b"
    r"|\b(?:tell|give|provide|send)\s+(?:me|us)\b|\blet\s+(?:me|us)\s+know\b"
    r"|^\W*(?:tell|give|provide|enter|state|specify|describe|share|name|confirm)\b"
    r"|\b(?:i|we)(?:'ll|\s+will|\s+would|\s+also|\s+just)?\s+need\s+(?:your|the|to\s+know|a|some)\b"
    r"|\b(?:could|can|may|might|would)\s+(?:i|you|we)\b(?!\s+(?:be|see))",
    re.IGNORECASE,
)
_WH_START = re.compile(
    rf"^\W*(?:(?:and|so|ok|okay|well|right|great|sure|also|then|alright|hello|hi)\W+)*"
    rf"(?:(?:at|on|in|from|to|for|with|by|until)\s+)?(?:{_WH})\s+\w+",
    re.IGNORECASE,
)
_ELLIPSIS = re.compile(
    r"\b(?:and|your|the)\s+(?:[\w ]{1,30})\s+(?:please|as well)\b|\bas well,? please\b", re.IGNORECASE
)

STOP_WORDS = frozenset(
    """a about actually ah all also alright am an and any are as at be been being but by can could did do does doing
    done for from get give go going gonna got had has have having he hello her hey hi him his how i i'd i'll i'm i've
    if in into is it it's its just kind know let let's like likely lot make may maybe me might mine mr mrs ms my need
    needs of oh ok okay on or our out please possible preferably probably really right say she should so some
    something somewhere sorry sort sure take tell than thank thanks that that's the their them then there there's
    these they thing think this those to too uh um us use very wanna want wanted was we we'd we'll we're well were
    what when where which who why will with would yeah yep yes you you'd your yours i’m i’d i’ll don't can't
    looking look interested prefer help find searching hoping trying could be great good fine""".split()
)
_ATTRIBUTE_STOP = STOP_WORDS | frozenset(
    """many much long provide describe detailed now time's currently preferred preference particular specific
    specify there exactly today kindly able much mind ask question wish wanting would'd share state enter first
    second else anything already whether using called""".split()
)


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, trimmed; abbreviations such as "Dr." do not end one."""
    found: list[str] = []
    held = ""
    for match in _SENTENCE.finditer(text):
        held += match.group()
        if _ABBREVIATION.search(held.rstrip()) and not held.endswith("\n"):
            continue
        if held.strip():
            found.append(held.strip())
        held = ""
    if held.strip():
        found.append(held.strip())
    return found


def question_marks(text: str) -> int:
    """Runs of question marks of any script."""
    return len(re.findall(f"[{QUESTION_MARKS[:-1]}]+", text))


def asks(sentence: str) -> bool:
    """Whether one sentence asks for something: a question mark, a question word in front, or a request."""
    if not any(c.isalnum() for c in sentence):
        return False
    return bool(
        _MARK.search(sentence) or _WH_START.search(sentence) or _REQUEST.search(sentence) or _ELLIPSIS.search(sentence)
    )


def questions(text: str) -> tuple[str, ...]:
    """The single questions of an utterance: its asking sentences, compound ones split ("from where and when")."""
    return _questions(text[:MAX_CHARS])


@lru_cache(maxsize=20_000)
def _questions(text: str) -> tuple[str, ...]:
    found: list[str] = []
    for sentence in sentences(text):
        if asks(sentence):
            parts = [part.strip(" ,") for part in _SPLIT.split(sentence)]
            found += [part for part in parts if any(c.isalnum() for c in part)]
    return tuple(found)


def words(text: str) -> tuple[tuple[str, int, int], ...]:
    """(lower-case word, start, end) of each word or number; each character of scripts without spaces is a word."""
    return _words(text[:MAX_CHARS])


@lru_cache(maxsize=20_000)
def _words(text: str) -> tuple[tuple[str, int, int], ...]:
    found: list[tuple[str, int, int]] = []
    for match in _WORD.finditer(text):
        word = match.group()
        if not (word[0].isalnum()):
            continue
        if _WIDE.search(word):
            found += [(c, match.start() + i, match.start() + i + 1) for i, c in enumerate(word)]
        else:
            found.append((word.lower().replace("’", "'"), match.start(), match.end()))
    return tuple(found)


def content_words(text: str) -> list[str]:
    """The words of a question that can name what it asks for, in order."""
    return [w for w, _, _ in words(text) if w not in _ATTRIBUTE_STOP and (len(w) > 1 or not w.isascii())]
