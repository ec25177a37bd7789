"""How a strict reader takes the lines of a made-up log: the measure for good and broken ones in these tests."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

ROLES = {"user", "assistant", "system", "tool"}


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("duplicate key")
    return document


def _no_constants(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    value.encode()  # refuses half of a surrogate pair
    return value


def _time(value: Any) -> None:
    if value is not None:
        datetime.fromisoformat(value)


def _message(message: Any) -> str:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise ValueError("no message with a role")
    if not (message.get("content") is None and message["role"] == "assistant" and message.get("tool_calls")):
        _text(message.get("content"))
    _time(message.get("ts"))
    return str(message["role"])


def read_strictly(line: bytes, form: str = "native") -> dict[str, Any]:
    """The line's document, or an exception."""
    document = json.loads(line.decode(), object_pairs_hook=_no_duplicates, parse_constant=_no_constants)
    if not isinstance(document, dict):
        raise ValueError("not an object")
    _text(document.get("id" if form == "openai" else "session_id"))
    _time(document.get("metadata", document).get("updated_at"))
    if form == "events":
        if document["seq"] is None and document["ts"] is None:
            raise ValueError("no order")
        roles = [_message(document)]
    else:
        if not isinstance(document["messages"], list):
            raise ValueError("messages are no list")
        roles = [_message(message) for message in document["messages"]]
    if form != "events" and "user" not in roles:
        raise ValueError("no user message")
    return document
