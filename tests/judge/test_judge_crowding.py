"""What a text is near to anyway."""

from __future__ import annotations

import numpy as np
import pytest

from l2a.judge.embedded.crowding import NEAREST, TEXTS, Crowd, crowd
from l2a.judge.encoder import Encoder

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
