"""Dialogues as log lines: the native form, the OpenAI chat form, and one event a message."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring as _quote
from typing import Any

from l2a.synth.dialogue import MadeDialogue

Document = dict[str, Any]

encode: Callable[[object], str] = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
"""JSON text of a document that was made here: real characters, not escapes, and no cycles to look for."""

_MINUTES = tuple(f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1_440))
_SECONDS = tuple(f"{second:02d}Z" for second in range(60))


@lru_cache(maxsize=4_096)
def _day(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


def iso(second: int) -> str:
    """Seconds since 1970 as 2026-11-21T09:30:00Z; ten times a line, so not by strftime, which is slow."""
    day, rest = divmod(second, 86_400)
    minute, second = divmod(rest, 60)
    return _day(day) + _MINUTES[minute] + _SECONDS[second]


def native_text(made: MadeDialogue) -> str:
    """The native form (docs/mappings.md), written out.

    By hand, as this is the line that million-line logs are made of: twice as fast as building a document and
    encoding it. A test holds it against a JSON parser.
    """
    times = [f'"{iso(time)}"' for time in made.times] if made.timed else ["null"] * len(made.times)
    messages = ", ".join(
        [
            f'{{"role": "{role}", "content": {_quote(text)}, "ts": {time}}}'
            for role, text, time in zip(made.roles, made.texts, times, strict=True)
        ]
    )
    return (
        f'{{"session_id": "{made.session_id}", "goal": {_quote(made.domain.goal)}, '
        f'"domain": {_quote(made.domain.name)}, "outcome": "{made.outcome}", "expert": "{made.expert}", '
        f'"updated_at": "{iso(made.updated_at)}", "messages": [{messages}]}}'
    )


def openai(made: MadeDialogue) -> Document:
    """A chat as OpenAI's API stores it: the message before a tool's answer carries tool_calls, some without text."""
    messages: list[Document] = []
    for index, (role, text) in enumerate(zip(made.roles, made.texts, strict=True)):
        message: Document = {"role": role, "content": text}
        if role == "tool":
            call_id = f"call_{index}"
            arguments = encode({"session": made.session_id})
            call = {"id": call_id, "type": "function", "function": {"name": "look_up", "arguments": arguments}}
            messages[-1]["tool_calls"] = [call]
            if made.times[index] % 2:
                messages[-1]["content"] = None
            message["tool_call_id"] = call_id
        messages.append(message)
    return {
        "id": made.session_id,
        "created": made.times[0],
        "messages": messages,
        "metadata": {
            "goal": made.domain.goal,
            "domain": made.domain.name,
            "outcome": made.outcome,
            "expert": made.expert,
            "updated_at": iso(made.updated_at),
        },
    }


def event_rows(made: MadeDialogue) -> Iterator[Document]:
    """One row a message, in order; `seq` counts from 0 within the session. Events are never updated."""
    for seq, (role, text, time) in enumerate(zip(made.roles, made.texts, made.times, strict=True)):
        yield {
            "session_id": made.session_id,
            "seq": seq,
            "ts": iso(time),
            "role": role,
            "content": text,
            "domain": made.domain.name,
            "goal": made.domain.goal,
            "outcome": made.outcome,
            "expert": made.expert,
        }
