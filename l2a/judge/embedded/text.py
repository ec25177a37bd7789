"""Plain text work of the embedded judge: sentences, questions, words. No model, any script.

English helps where it can (question words, stop words); other languages stand on question marks and statistics.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache

from l2a.dialogue.unspaced import MARKS, UNSPACED
from l2a.judge.embedded.lexicon import KINDS, NAMELESS_WORDS

MAX_CHARS = 4000
"""What is read of a message; a longer one is a document, not an answer."""

QUESTION_MARKS = "?？؟⸮՞፧⁇❓❔;"
_MARK = re.compile(f"[{QUESTION_MARKS[:-1]}]")
_SENTENCE = re.compile(
    f"[^.!。！…\n{QUESTION_MARKS[:-1]}]*(?:\\.(?=\\w)[^.!。！…\n{QUESTION_MARKS[:-1]}]*)*[.!。！…\n{QUESTION_MARKS[:-1]}]*"
)
_ABBREVIATION = re.compile(r"\b(?:dr|mr|mrs|ms|st|ave|no|vs|etc|approx|e\.g|i\.e|a\.m|p\.m|[a-z])\.$", re.IGNORECASE)
_LETTERS = rf"(?:[^\W\d_]{MARKS}*)+"
_WORD = re.compile(rf"{_LETTERS}(?:['’]{_LETTERS})*|\d+|[^\w\s]|_", re.UNICODE)
_WIDE = re.compile(f"{UNSPACED}|[가-힯]")

WH = "what|when|where|who|whom|whose|which|why|how"
AUX = "is|are|was|were|do|does|did|can|could|would|will|should|shall|may|might|have|has|am"
REQUEST_VERBS = "tell|give|provide|enter|state|specify|describe|share|send|confirm|name|let"
_SPLIT = re.compile(
    r"(?:,\s*|\s+)(?:and|or|also|as well as)\s+(?:also\s+|then\s+)?"
    rf"(?=(?:(?:at|on|in|from|to|for|with)\s+)?(?:{WH})\b)"
    rf"|,\s*(?:and|or)\s+(?=(?:{AUX})\s+(?:you|i|there|it|this|that|we|the|your)\b)",
    re.IGNORECASE,
)
_REQUEST = re.compile(
    rf"\b(?:please|kindly)\b.{{0,40}}\b(?:{REQUEST_VERBS})\b"
    r"|\b(?:tell|give|provide|send)\s+(?:me|us)\b(?!\s+(?:a|one|just)\s+(?:moment|second|minute))|\blet\s+(?:me|us)\s+know\b"
    r"|^\W*(?:tell|give(?!\s+me\s+(?:a|one)\s+(?:moment|second|minute))|provide|enter|state|specify|describe|share|name|confirm)\b"
    r"|\b(?:i|we)(?:'ll|\s+will|\s+would|\s+also|\s+just)?\s+need\s+(?:your|the|to\s+know|a|some)\b"
    r"|\b(?:could|can|may|might|would)\s+(?:i|you|we)\b(?!\s+(?:be|see))",
    re.IGNORECASE,
)
_WH_START = re.compile(
    rf"^\W*(?:(?:and|so|ok|okay|well|right|great|sure|also|then|alright|hello|hi)\W+)*"
    rf"(?:(?:at|on|in|from|to|for|with|by|until)\s+)?(?:{WH})\s+\w+",
    re.IGNORECASE,
)
_BACK = re.compile(
    rf"^\W*(?:(?:and|so|ok|okay|well|oh|hmm)\W+)*(?:{AUX})(?:n't)?\s+(?:you|i|there|it|this|that|we|the|they|he|she|your)\b",
    re.IGNORECASE,
)
_ELLIPSIS = re.compile(
    r"\b(?:and|your|the)\s+(?:\w[\w ]{0,29})\s+(?:please|as well)\b|\bas well,? please\b", re.IGNORECASE
)


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, trimmed; abbreviations such as "Dr." do not end one."""
    found: list[str] = []
    held = ""
    for match in _SENTENCE.finditer(text):
        held += match.group()
        if _ABBREVIATION.search(held.rstrip()[-16:]) and not held.endswith("\n"):
            continue
        if held.strip():
            found.append(held.strip())
        held = ""
    if held.strip():
        found.append(held.strip())
    return found


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
        if unspaced(word):
            found += [(c, match.start() + i, match.start() + i + 1) for i, c in enumerate(word)]
        else:
            found.append((word.lower().replace("’", "'"), match.start(), match.end()))
    return tuple(found)


def unspaced(word: str) -> bool:
    """Whether a word is of a script without spaces, or of Korean, where endings grow onto words."""
    return bool(_WIDE.search(word))


def terms(text: str) -> set[str]:
    """What a text holds, to be met again: its words, and of a script without spaces its pairs of characters, too."""
    return {term for run in _runs(text) for term in run}


def novel(text: str, known: Collection[str]) -> list[bool]:
    """For each of `words(text)`, whether it is new beside the terms that are known.

    What is written without a space is new as a whole where a pair of its characters is: 小明, said after 小狗, is.
    """
    found: list[bool] = []
    for run in _runs(text):
        many = (len(run) + 1) // 2
        telling = run if many == 1 else run[many:]
        found += [any(term not in known for term in telling)] * many
    return found


@lru_cache(maxsize=20_000)
def _runs(text: str) -> tuple[tuple[str, ...], ...]:
    """Each word by itself, and of a script without spaces all characters of a run, and then its pairs."""
    runs: list[list[str]] = []
    last = -1
    for word, start, end in words(text):
        wide = unspaced(word)
        if wide and last == start:
            runs[-1].append(word)
        else:
            runs.append([word])
        last = end if wide else -1
    return tuple((*run, *(a + b for a, b in itertools.pairwise(run))) for run in runs)


def topical(utterance: str) -> tuple[str, ...]:
    """The single questions of an utterance that ask for something nameable; "How can I help?" asks for everything."""
    return tuple(question for question in questions(utterance) if content_words(question))


def asked_in(utterance: Sequence[str], read: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    """The single questions, each once, that `read` (questions, topical) finds in the messages of one utterance."""
    return tuple(dict.fromkeys(question for message in utterance for question in read(message)))


def content_words(text: str) -> list[str]:
    """The words of a question that can name what it asks for, in order; last, what its question word asks for."""
    said = [w for w, _, _ in words(text)]
    named = [w for w in said if w not in NAMELESS_WORDS and (len(w) > 1 or not w.isascii())]
    joined = f" {' '.join(said)} "
    return named + [kind for asked, kind in KINDS if f" {asked} " in joined and kind not in named][:1]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of each of `sentences(text)`, in the text."""
    found: list[tuple[int, int]] = []
    place = 0
    for sentence in sentences(text):
        start = text.find(sentence, place)
        place = start + len(sentence)
        found.append((start, place))
    return found


def asks_back(sentence: str) -> bool:
    """Whether a user's sentence is a question of the user's own, rather than a guess ("Hyatt?")."""
    return bool(_MARK.search(sentence)) and bool(_WH_START.search(sentence) or _BACK.search(sentence))


def stem(word: str) -> str:
    """A rough stem of an English word, enough to match "booking" with "book"; other words stay as they are."""
    for ending in ("ing", "ers", "ies", "es", "ed", "er", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and word.isascii():
            return word[: -len(ending)]
    return word
