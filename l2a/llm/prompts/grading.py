"""Asking an LLM what an utterance asks for: which item of I*_t, how directly, how many things at once.

R_a and Omega follow from that by code (`read_judgement`, l2a.reward), so that a grade can be explained and audited.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from l2a.judge.protocols import Judgement, Question
from l2a.llm.prompts import VERSION, Form, instructions
from l2a.llm.prompts.frame import about, data, dialogue_lines
from l2a.llm.request import ChatRequest
from l2a.reward.values import PACKED_R_A

LEVELS = {"none": 0.0, "close": 0.5, "direct": 1.0}
LONGEST_ANSWER = 60
"""Tokens of an answer, at most."""

JUDGEMENT_SCHEMA: Mapping[str, Any] = {
    "title": "judgement",
    "type": "object",
    "properties": {
        "questions": {"type": "integer", "minimum": 0, "maximum": 99},
        "item": {"type": "integer", "minimum": 0, "maximum": 999},
        "directness": {"enum": list(LEVELS)},
    },
    "required": ["questions", "item", "directness"],
    "additionalProperties": False,
}


def grading_request(
    question: Question,
    *,
    model: str,
    model_version: str,
    form: Form = "prefix",
    session_id: str = "",
    turn: int = 0,
    version: str = VERSION,
) -> ChatRequest:
    """The request for one utterance. Two rollouts with the same text at the same turn are the same request."""
    history = f"The dialogue so far:\n{about(question.goal, question.domain)}\n{dialogue_lines(question.context)}"
    items = "\n".join(data({"item": number, "fact": fact}) for number, fact in enumerate(question.information, 1))
    information = f"The information that the user was still to supply:\n{items}"
    utterance = f"The utterance to judge:\n{data(question.text)}"
    parts = [history, information, utterance] if form == "prefix" else [information, history, utterance]
    return ChatRequest(
        model=model,
        model_version=model_version,
        messages=[
            {"role": "system", "content": instructions("grade", version)},
            {"role": "user", "content": "\n\n".join(parts)},
        ],
        parameters={"temperature": 0, "max_tokens": LONGEST_ANSWER},
        response_schema=JUDGEMENT_SCHEMA,
        session_id=session_id,
        turn=turn,
    )


def read_judgement(parsed: str, items: int) -> Judgement:
    """The judgement of a parsed answer about `items` items of information.

    Nothing asked, or no item asked for: R_a 0. Two or more questions at once: R_a at most .5. An item that there is not
    is an error: such an answer is not to be trusted, and never a zero.
    """
    said = json.loads(parsed)
    questions, item = int(said["questions"]), int(said["item"])
    if item > items:
        return Judgement(None, None, f"the grader names item {item} of {items}")
    level = LEVELS[said["directness"]] if questions and item else 0.0
    r_a = min(level, PACKED_R_A) if questions > 1 else level
    return Judgement(r_a, asks=questions > 0, item=item if r_a else None)
