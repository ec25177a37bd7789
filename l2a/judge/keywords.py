"""A second grader, independent of the embedded one: words of the question against words of the item, no embeddings.

It is too coarse to train on. It watches: a policy that learns to please the grader in the reward without asking better
questions drifts away from this one.
"""

from __future__ import annotations

from collections.abc import Sequence

from l2a.dialogue.types import STOP_MARK
from l2a.judge.embedded.guard import readable
from l2a.judge.embedded.text import content_words, questions, stem, topical
from l2a.judge.protocols import Judgement, Question

DIRECT = 0.5
"""The share of an item's attribute words that a question has to name to ask for it."""


class KeywordGrader:
    """Implements `l2a.judge.protocols.Grader`: 1.0 from half of an attribute's words on, 0.5 for any, else 0."""

    name = "keywords-1"

    def grade(self, questions: Sequence[Question]) -> list[Judgement]:
        """One judgement per question, in the same order."""
        return [_judge(question) for question in questions]


def _judge(question: Question) -> Judgement:
    text = (
        ""
        if STOP_MARK in question.text
        else readable(question.text, question.information, (*question.context, *question.future))
    )
    asked = {stem(word) for part in topical(text) for word in content_words(part)}
    best, place = 0.0, None
    for number, item in enumerate(question.information, 1):
        named = {stem(word) for word in content_words(item.split(":", 1)[0])}
        share = len(named & asked) / len(named) if named else 0.0
        if share > best:
            best, place = share, number
    r_a = 1.0 if best >= DIRECT else 0.5 if best > 0 else 0.0
    return Judgement(r_a, asks=bool(questions(text)), item=place)
