"""What of a policy's utterance is read as its question: markup, fake turns and echoes of the reference are not."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from l2a.dialogue.types import Message

MAX_CHARS = 1500
"""A question longer than this is not read further: it is no question that a person would answer."""

_MARKUP = re.compile(r"<\|[^|>]{0,60}\|>|<[^<>]{1,80}>|\[/?[A-Z]{2,12}\]|\{[^{}]{0,200}\}|```")
_FAKE_TURN = re.compile(
    r"(?:^|\n)[#*> ]*(?:user|human|patient|customer|client|assistant|doctor|agent|expert|system|grader|judge"
    r"|用户|助手|患者|医生) ?\** ?[:：]",
    re.IGNORECASE,
)
_OWN_NAME = re.compile(r"\A[#*> ]*(?:assistant|doctor|agent|expert|助手|医生) ?\** ?[:：]", re.IGNORECASE)
_ABOUT_GRADES = re.compile(
    r"\b(?:score|grade|graded|grader|grading|judge|judging|rating|reward|r_a|content_score|format_score|full marks"
    r"|evaluator|ignore (?:all|the|any|previous|above))\b"
    r"|评分|打分|满分|忽略|puntuación|note maximale|ignorez|ignoriere|bewertung|ignora ",
    re.IGNORECASE,
)


def _about_grades(sentence: str) -> list[str]:
    """The words of a sentence that speak of grades or graders."""
    return [match.group().lower() for match in _ABOUT_GRADES.finditer(sentence)]


def visible(text: str) -> str:
    """The text in Unicode's compatible form, without control, format and unassigned characters."""
    folded = unicodedata.normalize("NFKC", text)
    return "".join(c for c in folded if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cn", "Cs"))


def readable(text: str, items: Sequence[str], dialogue: Sequence[Message] = ()) -> str:
    """What a grader may read of `text`; empty where nothing of it is a question of the policy's own.

    Everything from the first fake turn on, markup, sentences about grades, and every word-for-word copy of an item of
    the reference are taken out: a policy cannot know the reference, so a copy asks for nothing. A word that an item or
    the logged dialogue itself holds is not about grades: a bank asks for credit scores. A policy may write its own name
    in front.
    """
    from l2a.judge.embedded.text import sentences

    # Lines without the blanks around them, so that no pattern below has runs of blanks to try in every way.
    lines = (" ".join(line.split()) for line in visible(text[: 4 * MAX_CHARS]).splitlines())
    seen = "\n".join(line for line in lines if line)
    seen = _OWN_NAME.sub("", seen)
    fake = _FAKE_TURN.search(seen)
    if fake:
        seen = seen[: fake.start()]
    seen = _MARKUP.sub(" ", seen)
    for item in sorted(items, key=len, reverse=True):
        if ":" in item and len(item) > 3:
            seen = re.sub(re.escape(visible(item)), " ", seen, flags=re.IGNORECASE)
    said = sentences(seen[:MAX_CHARS])
    if any(map(_about_grades, said)):
        theirs = (*items, *(message.content[:MAX_CHARS] for message in dialogue))
        known = {word for one in theirs for word in _about_grades(one)}
        said = [sentence for sentence in said if known.issuperset(_about_grades(sentence))]
    return "\n".join(said).strip()
