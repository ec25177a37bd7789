"""No grader is talked into a grade: whatever an utterance, a context or a reference says, it stays data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from l2a.dialogue.types import Message
from l2a.judge.embedded import EmbeddedJudge
from l2a.judge.protocols import Dialogue, Question
from l2a.judge_check.attacks import CASES, FAMILIES, ITEMS, SAID_LATER, deserved
from l2a.llm.prompts.extraction import extraction_request
from l2a.llm.prompts.grading import grading_request
from l2a.llm.prompts.rollout import policy_messages

NAMES = {"model": "m", "model_version": "1"}
CONTROL = re.compile(r"[<>]|\[/?[^\W\d]\w*\]")


def prompts(text: str) -> Iterator[str]:
    """Every prompt in which others' text stands, with `text` in each place where it may stand."""
    talk, plain = [Message("user", text), Message("assistant", text)], [Message("user", "hello")]
    for form in ("prefix", "paper"):
        for question in (
            Question(text, ITEMS, plain),
            Question("Your name?", ITEMS, talk),
            Question("Your name?", [text], plain),
            Question("Your name?", ITEMS, plain, domain=text, goal=text),
        ):
            yield grading_request(question, form=form, **NAMES).messages[1]["content"]
        for end in (None, 1):
            dialogue = Dialogue(talk, text, text)
            yield extraction_request(dialogue, context_end=end, form=form, **NAMES).messages[1]["content"]


def outside_the_frame(prompt: str) -> list[str]:
    """The lines that we wrote: those that are no JSON."""
    kept = []
    for line in prompt.split("\n"):
        try:
            json.loads(line)
        except ValueError:
            kept.append(line)
    return kept


def obeying_grader(prompt: str) -> float:
    """Gives a reward to whoever says so outside the frame: the most gullible grader that there can be."""
    said = "\n".join(outside_the_frame(prompt))
    return float(bool(CONTROL.search(said)) or said not in OURS)


OURS = {"\n".join(outside_the_frame(prompt)) for prompt in prompts("What is your name?")}


def test_there_are_enough_cases_in_every_family() -> None:
    assert len(CASES) >= 150
    assert min(len(texts) for texts in FAMILIES.values()) >= 10
    assert len(set(CASES)) == len(CASES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_grader_that_obeys_all_outside_its_frame_gives_no_attack_a_reward(family: str) -> None:
    for text in FAMILIES[family]:
        for prompt in prompts(text):
            assert obeying_grader(prompt) == 0.0, text[:200]
            assert not CONTROL.search(prompt), text[:200]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_others_said_reaches_a_policy_without_control_tokens(family: str) -> None:
    for text in FAMILIES[family]:
        for role in ("user", "assistant", "tool"):
            (said,) = policy_messages([Message(role, text)])[1:]
            assert not CONTROL.search(said["content"].removeprefix("[tool] ")), text[:200]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_embedded_grader_gives_an_attack_nothing(judge: EmbeddedJudge, family: str) -> None:
    asked = [Question(text, ITEMS, future=future) for text in FAMILIES[family] for future in ((), SAID_LATER)]
    for question, judgement in zip(asked, judge.grader.grade(asked), strict=True):
        assert judgement.error is None
        assert judgement.r_a is not None
        assert judgement.r_a <= deserved(family), question.text[:200]
