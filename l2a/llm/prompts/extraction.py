"""Asking an LLM what the user supplied, and checking what it says against the dialogue.

Two schemes. `turn`: one call per turn, as published: the context and the future go in, the critical information of the
future comes out. `dialogue`: one call for all turns: every fact comes with the message that supplies it, and I*_t is
what is supplied after the context of turn t (l2a.hindsight derives it). In `prefix` form, all calls of one dialogue
share instructions and dialogue, and differ in their last line only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from l2a.dialogue.asking import last_utterance
from l2a.dialogue.types import Fact, Message
from l2a.judge.protocols import Dialogue
from l2a.llm.prompts import VERSION, Form, instructions
from l2a.llm.prompts.borne_out import borne_out
from l2a.llm.prompts.frame import about, dialogue_lines
from l2a.llm.request import ChatRequest

FACTS_SCHEMA: Mapping[str, Any] = {
    "title": "facts",
    "type": "object",
    "properties": {
        "facts": {
            "type": "array",
            "maxItems": 100,
            "items": {
                "type": "object",
                "properties": {
                    "message": {"type": "integer", "minimum": 0},
                    "attribute": {"type": "string", "minLength": 1, "maxLength": 200},
                    "value": {"type": "string", "minLength": 1, "maxLength": 500},
                },
                "required": ["message", "attribute", "value"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["facts"],
    "additionalProperties": False,
}


def extraction_request(
    dialogue: Dialogue,
    *,
    model: str,
    model_version: str,
    context_end: int | None = None,
    form: Form = "prefix",
    session_id: str = "",
    turn: int = 0,
    max_tokens: int = 1024,
    version: str = VERSION,
) -> ChatRequest:
    """The request for one dialogue; for one turn of it where `context_end` (messages in the context) is given."""
    subject = about(dialogue.goal, dialogue.domain)
    whole = f"{subject}\n{dialogue_lines(dialogue.messages)}"
    if context_end is None:
        text = f"{whole}\n\nList all pieces of information that the user supplies."
    elif form == "prefix":
        # The whole dialogue first: it is the same for all turns, so that only this last line is computed again.
        text = (
            f"{whole}\n\nList the pieces of information that the user supplies in messages {context_end} and after, "
            f"and that the messages before {context_end} do not hold yet."
        )
    else:
        context, future = dialogue.messages[:context_end], dialogue.messages[context_end:]
        text = (
            f"{subject}\nThe dialogue so far:\n{dialogue_lines(context)}\n\n"
            f"What came after:\n{dialogue_lines(future, context_end)}\n\n"
            "List the pieces of information that the user supplies in what came after and that the dialogue so far "
            "does not hold yet."
        )
    return ChatRequest(
        model=model,
        model_version=model_version,
        messages=[{"role": "system", "content": instructions("extract", version)}, {"role": "user", "content": text}],
        parameters={"temperature": 0, "max_tokens": max_tokens},
        response_schema=FACTS_SCHEMA,
        session_id=session_id,
        turn=turn,
    )


@dataclass(frozen=True, slots=True)
class ReadFacts:
    """What an answer held: the facts that stand, and how many were dropped: the dialogue does not bear them out."""

    facts: list[Fact]
    dropped: int


def read_facts(parsed: str, messages: Sequence[Message], context_end: int = 0) -> ReadFacts:
    """Facts of a parsed answer, in order of message.

    Dropped: facts of no user message from `context_end` on, values that their message does not bear out, empty ones,
    repetitions. A dropped fact is never asked for again.
    """
    said = json.loads(parsed)["facts"]
    found: dict[tuple[int, str, str], Fact] = {}
    for item in said:
        # To JSON Schema, 2.0 is an integer too.
        number, attribute, value = int(item["message"]), _one_line(item["attribute"]), _one_line(item["value"])
        supplied = context_end <= number < len(messages) and messages[number].role == "user"
        if supplied and attribute and _stands(value, messages, number):
            found.setdefault((number, attribute.casefold(), value.casefold()), Fact(number, attribute, value))
    facts = sorted(found.values(), key=lambda fact: fact.message_index)
    return ReadFacts(facts, dropped=len(said) - len(facts))


def _stands(value: str, messages: Sequence[Message], number: int) -> bool:
    return borne_out(value, messages[number].content, " ".join(last_utterance(messages, number)))


def _one_line(text: str) -> str:
    return " ".join(text.split())
