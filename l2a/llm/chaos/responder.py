"""What the chaos endpoint answers when it answers: something of the asked form, the same for the same request.

A responder is a function from the request's body to the answer's text. `Rules` looks one up by the title of the asked
schema; without one, `valid_value` makes the smallest value that the schema allows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

Responder = Callable[[Mapping[str, Any]], str]


class Rules:
    """A responder that picks by the schema's name, which is the schema's title. Add rules with `rules[title] = f`.

    The rule for None answers what asks for free text.
    """

    def __init__(self) -> None:
        self._by_title: dict[str | None, Responder] = {}

    def __setitem__(self, title: str | None, responder: Responder) -> None:
        self._by_title[title] = responder

    def __call__(self, body: Mapping[str, Any]) -> str:
        """The answer's text."""
        asked = asked_schema(body)
        if asked is None:
            return self._by_title.get(None, echo)(body)
        title, schema = asked
        if title in self._by_title:
            return self._by_title[title](body)
        return json.dumps(valid_value(schema, last_text(body)), ensure_ascii=False)


def asked_schema(body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Name and schema of response_format, or None."""
    asked = body.get("response_format")
    if not isinstance(asked, dict) or not isinstance(asked.get("json_schema"), dict):
        return None
    return str(asked["json_schema"].get("name")), asked["json_schema"].get("schema", {})


def last_text(body: Mapping[str, Any]) -> str:
    """The last message's text."""
    messages = body.get("messages")
    return str(messages[-1].get("content", "")) if isinstance(messages, list) and messages else ""


def echo(body: Mapping[str, Any]) -> str:
    """A question about the last thing that was said."""
    return f"Could you tell me more about this: {last_text(body)[-80:]}?"


def valid_value(schema: Mapping[str, Any], text: str = "") -> Any:
    """A small value that fulfils the schema: of the words that structured output uses, not of all of JSON Schema."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return valid_value(schema[word][0], text)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {key: valid_value(part, text) for key, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [valid_value(schema.get("items", {}), text) for _ in range(schema.get("minItems", 0))]
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    if kind in ("boolean", "null"):
        return None if kind == "null" else True
    return text[-20:][: schema.get("maxLength", 20)].ljust(schema.get("minLength", 0), "x")
