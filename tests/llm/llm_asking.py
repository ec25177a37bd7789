"""What the tests of the LLM engine share: a quick way to ask, against the chaos endpoint on 127.0.0.1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from l2a.llm.answer import AnswerRow
from l2a.llm.engine import Engine
from l2a.llm.request import ChatRequest
from l2a.llm.sync import answer_batches
from l2a.settings.llm import LLMSettings

SCHEMA = {
    "title": "thing",
    "type": "object",
    "properties": {"value": {"type": "string"}},
    "required": ["value"],
    "additionalProperties": False,
}


def request(text: str = "hello", **changes: Any) -> ChatRequest:
    """A request to the chaos endpoint's model."""
    given: dict[str, Any] = {"model": "chaos", "model_version": "1", "messages": [{"role": "user", "content": text}]}
    return ChatRequest(**(given | changes))


def quick(*urls: str, **changes: Any) -> LLMSettings:
    """Settings with short waits, so that tests of failures are short."""
    given: dict[str, Any] = {
        "endpoints": urls,
        "model": "chaos",
        "model_version": "1",
        "backoff_seconds": 0.02,
        "try_timeout_seconds": 3.0,
        "flush_seconds": 0.2,
        "probe_seconds": 0.1,
        "probe_max_seconds": 0.5,
        "stop_grace_seconds": 1.0,
    }
    return LLMSettings(**(given | changes))


def ask(requests: Iterable[ChatRequest], settings: LLMSettings) -> list[AnswerRow]:
    """All rows."""
    return [row for rows in answer_batches(requests, settings, engine=Engine(settings)) for row in rows]


def ask_one(settings: LLMSettings, **changes: Any) -> AnswerRow:
    """The row of one request."""
    (row,) = ask([request(**changes)], settings)
    return row
