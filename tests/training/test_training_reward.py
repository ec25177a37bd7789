"""The reward of a training is l2a's one definition; a grade that fails is left out, never 0."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from l2a.dialogue.types import STOP_MARK, Message
from l2a.judge.keywords import KeywordGrader
from l2a.judge.protocols import Judgement, Question
from training.data import Logged, Turn
from training.dpo import rejected
from training.recipes import Rl
from training.reward import Reward, questions_of, row
from training.rl import hacking, schedule
from training.signs import asks_again, repeats_itself


class Scripted:
    """A grader that says 1.0, and fails on whatever holds the word `fail`."""

    name = "scripted"

    def grade(self, questions: Sequence[Question]) -> list[Judgement]:
        return [
            Judgement(None, None, "the grader is down") if "fail" in q.text else Judgement(1.0, True)
            for q in questions
        ]  # fmt: skip


def turn(session: str = "s", number: int = 1, final: bool = False, domain: str = "d") -> Turn:
    said = ["Hi", "Which day?", "Monday", "What name?", "Ann", "Bye"]
    messages = tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(said))
    place = 5 if final else 2 * number - 1
    items = () if final else ("day: Monday",)
    return Turn(
        Logged(session, domain, None, messages), number, final, place, place + 1, items, "STOP" if final else "CONTINUE"
    )


def columns(turns: Sequence[Turn]) -> dict[str, Any]:
    rows = [row(one, []) for one in turns]
    return {name: [r[name] for r in rows] for name in rows[0] if name != "prompt"}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("product", [4.0, 0.0, 4.0, 0.0, None]),
        ("sum", [3.0, 0.0, 3.0, 0.0, None]),
        ("without_r_a", [4.0, 0.0, 4.0, 0.0, None]),
        ("without_r_s", [3.0, 0.0, 3.0, 0.0, None]),
    ],
)
def test_each_form_pays_right_answers_and_leaves_failed_grades_out(form: Any, expected: list[float | None]) -> None:
    texts = ["Which day?", STOP_MARK, STOP_MARK, "Which day?", "Which day do you fail?"]
    given_turns = [turn(), turn(), turn(final=True), turn(final=True), turn()]
    logged: dict[str, float] = {}

    paid = Reward(Scripted(), form, 2.0)(
        [], [[{"role": "assistant", "content": t}] for t in texts],
        log_metric=logged.__setitem__, **columns(given_turns),
    )  # fmt: skip

    assert paid == expected
    assert logged["failed_share"] == pytest.approx(0.2)
    assert logged["ws"] == 0.5 and logged["wc"] == pytest.approx(2 / 3)


def test_an_answer_that_was_cut_off_is_not_paid() -> None:
    """It ran into the limit without a token that ends an answer; one that ends there is whole."""
    paid = Reward(Scripted(), "product", 2.0, limit=3)
    paid.ends = (9,)
    ids = [[5, 6, 7], [5, 6, 9], [5, 9], [5, 6, 7]]
    texts = ["Which day?", "Which day?", "Which day?", "Which day do you fail?"]
    assert paid([], texts, completion_ids=ids, **columns([turn()] * 4)) == [0.0, 4.0, 4.0, 0.0]


def test_the_grader_is_told_what_was_said_before_and_after_the_turn() -> None:
    here = turn()
    asked = questions_of(columns([here]), ["Which day?"])[0]
    assert tuple(asked.context) + tuple(asked.future) == tuple(here.dialogue.messages)
    assert asked.future[0].content == here.expert


def test_signs_of_hacking_are_curves() -> None:
    texts = ["Day? Name?", "Which day?", "Which day?", "Which day?"]
    logged: dict[str, float] = {}
    Reward(Scripted(), "product", 2.0)([], texts, log_metric=logged.__setitem__, **columns([turn()] * 4))
    assert logged["several_questions_share"] == 0.25
    assert logged["most_frequent_share"] == 0.75
    assert logged["longest_question"] == 10


def test_a_question_that_was_answered_before_is_asked_again() -> None:
    context = [
        Message("user", "Hi"),
        Message("assistant", "May I have your name, please?"),
        Message("user", "Ann"),
        Message("assistant", "And the account number?"),
        Message("user", "I don't know."),
    ]
    assert asks_again("Could you tell me your name?", context)
    assert not asks_again("What is your account number?", context), "it was asked in vain"
    assert not asks_again("What is the name of your pet?", context)
    assert not asks_again(STOP_MARK, context) and not asks_again("", [])


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("Would you like to pay would you like to see it?", True),
        ("What is the day? And what is the hour?", False),
        ("您的名字是什么，电话是什么？", False),
        ("您要预订哪一天的您要预订哪一天的房间？", True),
        ("", False),
    ],
)
def test_words_said_twice_within_a_question_are_a_sign(text: str, is_so: bool) -> None:
    assert repeats_itself(text) is is_so


def test_a_reward_that_rises_while_the_second_grader_turns_away_is_flagged() -> None:
    def entry(reward: float, agrees: float) -> dict[str, float]:
        return {"eval_reward": reward, "eval_second_grader_agrees": agrees}

    assert hacking([entry(2.0, 0.95), entry(3.0, 0.94)]) is None
    assert "fell from 0.95 to 0.60" in str(hacking([entry(2.0, 0.95), entry(3.5, 0.60)]))
    assert hacking([entry(3.0, 0.95), entry(2.9, 0.60)]) is None, "the reward did not rise"


def test_the_second_grader_goes_by_words() -> None:
    def grade(text: str) -> float | None:
        return KeywordGrader().grade([Question(text, ("account number: 12", "full name: Ann"))])[0].r_a

    assert grade("What is your account number?") == 1.0
    assert grade("How is the weather?") == 0.0
    assert grade(STOP_MARK) == 0.0


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 20), st.integers(2, 12), st.integers(1, 30), st.floats(0.1, 0.9))
def test_every_batch_has_its_share_of_stops(asks: int, stops: int, batch: int, steps: int, share: float) -> None:
    assume(0 < round(batch * share) < batch)
    part = Rl(steps=steps, batch_size=batch, stop_share=share)
    planned = schedule(
        [turn(f"a{n}") for n in range(asks)], [turn(f"s{n}", 3, True) for n in range(stops)], part, seed=1
    )
    assert len(planned) == steps * batch
    for start in range(0, len(planned), batch):
        assert sum(one.is_final for one in planned[start : start + batch]) == round(batch * share)
    seen = Counter(one.dialogue.session_id for one in planned if not one.is_final)
    if seen and len(seen) == asks:
        assert max(seen.values()) - min(seen.values()) <= 1, "each turn comes round before any comes again"


def test_the_schedule_is_the_same_in_every_process() -> None:
    part = Rl(steps=3, batch_size=4)
    asks, stops = [turn(f"a{n}") for n in range(9)], [turn("s", 3, True)]
    first = schedule(asks, stops, part, 7)
    random.seed(99)
    assert schedule(asks, stops, part, 7) == first


def test_rejected_utterances_ask_for_nothing_that_the_dialogue_holds() -> None:
    other = turn("other", domain="elsewhere")
    pairs = rejected([turn("one"), turn("one", 3, True), other], KeywordGrader(), seed=0)
    for one, text in pairs:
        items = [item for t in (turn(one.dialogue.session_id),) for item in t.information]
        assert one.is_final or KeywordGrader().grade([Question(text, tuple(items))])[0].r_a == 0.0
