"""Questions that were answered before."""

from __future__ import annotations

from l2a.dialogue.types import Message
from l2a.judge.embedded import EmbeddedJudge
from l2a.judge.protocols import Question

ASKED_BEFORE = (
    Message("user", "I would like to book a room."),
    Message("assistant", "How many guests will there be?"),
    Message("user", "We are 3 guests."),
)
LATER = (
    Message("assistant", "When will you arrive?"),
    Message("user", "On the 9th of May."),
)


def test_a_question_that_was_answered_before_is_not_paid_again(judge: EmbeddedJudge) -> None:
    def grade(text: str, context: tuple[Message, ...]) -> float | None:
        question = Question(text, ["arrival: 9th of May", "guests: 3 guests"], context, "hotel", future=LATER)
        return judge.grader.grade([question])[0].r_a

    assert grade("How many guests will there be?", ASKED_BEFORE[:1]) == 1.0
    assert grade("How many guests will there be?", ASKED_BEFORE) == 0.0
    assert grade("When will you arrive?", ASKED_BEFORE) == 1.0


def test_a_question_is_paid_again_where_asking_it_again_got_something(judge: EmbeddedJudge) -> None:
    context = (
        Message("user", "I need a hotel room."),
        Message("assistant", "When will you arrive?"),
        Message("user", "In May."),
    )
    question = Question("When will you arrive?", ["arrival: 9th of May"], context, "hotel", future=LATER)
    assert judge.grader.grade([question])[0].r_a == 1.0
