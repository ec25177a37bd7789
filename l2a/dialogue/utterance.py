"""What a policy's utterance says: the one place where text becomes (question, decision).

Rules (arXiv 2510.25441, section 3; where the paper is silent the choice is ours):

- The decision is STOP if the text contains the mark `<stop />`, letter for letter, anywhere; else CONTINUE.
- The STOP is exact if nothing but white space stands around one mark.
- The action is what is left without the mark: None if nothing is left.
- Questions are counted as runs of question marks of any script, wherever they stand (also inside markup or an
  address). "Really?!?" is one run. Nothing is cut, however long the text.

`utterance_columns` says the same in Spark columns; a property test holds the two together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from l2a.dialogue.types import STOP_MARK, Decision

QUESTION_MARKS = (
    "?"
    "\u037e"  # Greek. Only this one: normalised Greek text writes a semicolon, which no code can tell from a semicolon
    "\u055e"  # Armenian
    "\u061f"  # Arabic, also Syriac, Urdu, Persian
    "\u1367"  # Ethiopic
    "\u1945"  # Limbu
    "\u203d"  # interrobang
    "\u2047\u2048\u2049"  # double, question exclamation, exclamation question
    "\u2753\u2754"  # the emoji
    "\u2cfa\u2cfb"  # Old Nubian, direct and indirect
    "\u2e2e"  # reversed; closes a question in Adlam and older Arabic
    "\u2e54"  # medieval
    "\ua60f"  # Vai
    "\ua6f7"  # Bamum
    "\ufe16\ufe56\uff1f"  # vertical, small, full width
    "\U00011143"  # Chakma
    "\U0001f679\U0001f67a\U0001f67b"  # interrobang ornaments
    "\U0001fbc4"  # negative squared
)
"""The marks that close a question. Left out: marks that open one which another mark closes (Spanish U+00BF, U+2E18,
Adlam U+1E95F), signs of mathematics and APL, the circled ideograph, the invisible tag character."""

_COMPANIONS = "!\u203c\u2755\u2757\ufe15\ufe57\uff01\ufe0e\ufe0f"
"""What a run may hold beside question marks: exclamation marks, and the selectors of emoji and text form."""

QUESTION_RUN = f"[{QUESTION_MARKS}][{QUESTION_MARKS}{_COMPANIONS}]*"
"""A run of question marks, as a regular expression that Python and Java read alike."""

WHITE_SPACE = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What is stripped: what `str.strip` strips, written out because Java and Spark each mean something else by it."""

_RUN = re.compile(QUESTION_RUN)


@dataclass(frozen=True, slots=True)
class Utterance:
    """A parsed utterance (a_t, s_t)."""

    action: str | None
    """The text without the STOP mark, stripped; None if nothing is left."""
    decision: Decision
    questions: int
    """Runs of question marks."""
    exact_stop: bool
    """The whole utterance is `<stop />` and white space."""


def parse(text: str) -> Utterance:
    """Reads one utterance. Every text has a reading, the empty one too: CONTINUE, no action, no question."""
    # A line feed takes the mark's place, so that taking a mark out can never make a new one from what stood around it.
    action = text.replace(STOP_MARK, "\n").strip(WHITE_SPACE)
    return Utterance(
        action=action or None,
        decision="STOP" if STOP_MARK in text else "CONTINUE",
        questions=sum(1 for _ in _RUN.finditer(text)),
        exact_stop=text.strip(WHITE_SPACE) == STOP_MARK,
    )
