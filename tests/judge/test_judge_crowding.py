"""What a text is near to anyway, and questions that were answered before."""

from __future__ import annotations

import numpy as np
import pytest

from l2a.dialogue.types import Message
from l2a.judge.embedded import EmbeddedJudge
from l2a.judge.embedded.crowding import NEAREST, TEXTS, Crowd, crowd
from l2a.judge.encoder import Encoder
from l2a.judge.protocols import Question

ALONG, ACROSS = np.eye(384, dtype=np.float32)[:2]


def test_a_question_that_is_near_to_every_reply_is_in_a_crowd() -> None:
    crowded = Crowd(np.zeros((0, 384), np.float16), np.tile(ALONG, (NEAREST + 3, 1)).astype(np.float16))
    assert crowded.around_question(np.stack([ALONG, ACROSS])) == pytest.approx([1.0, 0.0])


def test_only_the_nearest_count() -> None:
    replies = np.concatenate([np.tile(ALONG, (NEAREST, 1)), np.tile(ACROSS, (200, 1))]).astype(np.float16)
    assert Crowd(replies, replies).around_question(ALONG[None]) == pytest.approx([1.0])


def test_without_logs_nothing_is_taken_off() -> None:
    nobody = crowd([], Encoder(), 0)
    assert nobody.around_question(ALONG[None]) == nobody.around_reply(ALONG[None]) == [0.0]


def test_the_order_of_the_logs_changes_nothing_and_their_size_is_bounded() -> None:
    said = [(f"What is number {n}?", f"It is {n}.") for n in range(TEXTS + 20)]
    one, other = crowd(said, Encoder(), 0), crowd(said[::-1], Encoder(), 0)
    assert one.questions.shape == one.replies.shape == (TEXTS, 384)
    assert np.array_equal(one.questions, other.questions)
    assert np.array_equal(one.replies, other.replies)


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
