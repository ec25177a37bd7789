"""Asking an LLM how directly an utterance asks for an item of I*_t."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from l2a.judge.protocols import Judgement, Question
from l2a.llm.prompts import VERSION, Form, instructions
from l2a.llm.prompts.frame import about, data, dialogue_lines
from l2a.llm.request import ChatRequest

JUDGEMENT_SCHEMA: Mapping[str, Any] = {
    "title": "judgement",
    "type": "object",
    "properties": {"asks": {"type": "boolean"}, "r_a": {"enum": [0, 0.5, 1]}},
    "required": ["asks", "r_a"],
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
    information = f"The information that the user was still to supply:\n{data(list(question.information))}"
    utterance = f"The utterance to judge:\n{data(question.text)}"
    parts = [history, information, utterance] if form == "prefix" else [information, history, utterance]
    return ChatRequest(
        model=model,
        model_version=model_version,
        messages=[
            {"role": "system", "content": instructions("grade", version)},
            {"role": "user", "content": "\n\n".join(parts)},
        ],
        parameters={"temperature": 0, "max_tokens": 40},
        response_schema=JUDGEMENT_SCHEMA,
        session_id=session_id,
        turn=turn,
    )


def read_judgement(parsed: str) -> Judgement:
    """The judgement of a parsed answer. What asks nothing cannot ask for an item, whatever the model says."""
    said = json.loads(parsed)
    return Judgement(r_a=float(said["r_a"]) if said["asks"] else 0.0, asks=bool(said["asks"]))
