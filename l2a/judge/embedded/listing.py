"""Does one sentence ask for several things? "Your account number and PIN?" does, "by car or by bus?" does not."""

from __future__ import annotations

import re

from l2a.judge.embedded.lexicon import EMPTY_WORDS
from l2a.judge.embedded.text import AUX, REQUEST_VERBS, WH, content_words, words

MANY = 5
"""So many things in a row are a list, whatever joins them."""

# Words that join in one language are letters, abbreviations and parts of names in another: "vitamin E", "10 am ET",
# "Disney plus", 温和.
_AND = (
    r"\b(?:and|und|as well as|plus (?=your|the|also))\b|(?-i:(?<=\s)(?:et|y|e|и|و)(?=\s))|&|以及|、"
    r"|(?<![温柔暖平缓总饱调祥中共附随])和(?![谐平解睦气尚服])"
)
_SEPARATOR = re.compile(rf"{_AND}|[,，،;；/]|\bor\b", re.IGNORECASE)
_DATE_FORM = re.compile(r"\b[dmy]{2,4}(?:/[dmy]{2,4})+\b", re.IGNORECASE)
_JOINED = re.compile(_AND, re.IGNORECASE)
_CHOICE = re.compile(r"\bor\b", re.IGNORECASE)
# Where a clause may begin that asks: what comes before it greets, thanks or tells.
_ASKING = re.compile(
    rf"(?:^|[,;:.—–-]|\b(?:and|but|so|then|please|also|just)\b)\W{{0,3}}(?=(?:(?:at|on|in|from|to|for|with)\s+)?(?:{WH})\b"
    rf"|(?:{AUX})(?:n't)?\s+(?:i|you|we|it|there|this|that|the|your|they|he|she)\b|(?:{REQUEST_VERBS})\b"
    r"|(?:i|we)(?:'ll|\s+will|\s+would|\s+also|\s+just)*\s+need\b)|¿",
    re.IGNORECASE,
)
_SHARED_HEAD = frozenset(["first", "last", "middle", "given", "family", "start", "end", "beginning"])
"""Words that leave their noun to the next: "first and last name", "start and end date" are one topic."""
_ITEM_WORDS = 6
"""What is longer is no item of a list but a sentence that goes on."""


def lists_topics(question: str) -> bool:
    """Whether a single question (as `text.questions` splits them) names several things that it wants to know.

    Two things joined by "and", three in a row, or five in any form. Alternatives to choose from are one thing.
    """
    question = _DATE_FORM.sub("date", question)
    asking = _ASKING.search(question)
    asked = question[asking.end() :] if asking else question
    pieces = [piece for piece in _SEPARATOR.split(asked) if _names(piece)]
    listed = pieces[:1] + [piece for piece in pieces[1:] if len(words(piece)) <= _ITEM_WORDS]
    if len(listed) >= MANY:
        return True
    if len(pieces) < 2 or _CHOICE.search(asked):
        return False
    joined = bool(_JOINED.search(asked, asked.index(pieces[0]) + len(pieces[0])))
    if len(listed) > 2:
        return joined or asking is not None
    return joined and not _names(pieces[0]) <= _SHARED_HEAD


def _names(piece: str) -> set[str]:
    return set(content_words(piece)) - EMPTY_WORDS
