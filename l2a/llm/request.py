"""What is asked of a model, and its address.

The address (`request_id`) is made of everything that the answer depends on and of nothing else: model, model_version,
messages, parameters, response schema, sample number. Not of the endpoint, the job or the time: whoever asks the same
thing again finds the answer. model_version is part of it and required, since a served name such as `policy` may point
at new weights tomorrow.

A request travels through Spark as one JSON string (`to_json`, `from_json`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from l2a.llm.errors import RequestInvalid

OWN_KEYS = frozenset({"model", "messages", "response_format", "stream", "stream_options", "n"})
"""Keys of the request's body that the engine sets itself, so that `parameters` may not: one row is one whole answer."""


@dataclass(frozen=True)
class ChatRequest:
    """One chat completion to ask for. `session_id` and `turn` route it (prefix cache); they are not in the address."""

    model: str
    model_version: str
    messages: Sequence[Mapping[str, Any]]
    """As the chat API takes them: {"role": ..., "content": ...}."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Sampling parameters, sent as they are: temperature, max_tokens, seed, stop, ..."""
    response_schema: Mapping[str, Any] | None = None
    """A JSON schema that the answer must fulfil; None asks for free text."""
    sample: int = 0
    """Tells repeated draws of one prompt apart."""
    session_id: str = ""
    turn: int = 0

    def __post_init__(self) -> None:
        """Refuses what has no sound address. Raises RequestInvalid."""
        if not self.model.strip():
            raise RequestInvalid("A request names no model. Set --model.")
        if not self.model_version.strip():
            raise RequestInvalid(
                f"A request to model {self.model!r} has no model_version. Answers are kept under it, so that new "
                "weights behind the same name are never answered from old calls: set --model-version."
            )
        if not self.messages:
            raise RequestInvalid("A request has no messages.")
        if taken := sorted(OWN_KEYS & self.parameters.keys()):
            raise RequestInvalid(f"parameters may not hold {', '.join(taken)}: the engine sets these itself.")

    @cached_property
    def request_id(self) -> str:
        """32 hexadecimal digits (half a SHA-256). Raises RequestInvalid for values that JSON cannot hold."""
        address = [
            self.model, self.model_version, self.messages, self.parameters, self.response_schema, self.sample,
        ]  # fmt: skip
        return hashlib.sha256(canonical_json(address).encode("ascii")).hexdigest()[:32]

    def body(self, again: int = 0) -> bytes:
        """The body of POST /chat/completions. What is not UTF-8 (a lone surrogate) is sent as a question mark.

        Where something is drawn (temperature not 0) and no seed given, one is made of the address: the same request
        draws the same answer, another sample another one. `again` moves the seed, for an answer that cannot be used.
        """
        body: dict[str, Any] = {"model": self.model, "messages": self.messages, **self.parameters}
        if "seed" not in body and body.get("temperature") != 0:
            body["seed"] = int(self.request_id[:7], 16)
        if again and isinstance(body.get("seed"), int):
            body["seed"] += again
        if self.response_schema is not None:
            name = self.response_schema.get("title", "answer")
            schema = {"name": name, "schema": self.response_schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    def to_json(self) -> str:
        """One line of ASCII that `from_json` reads back."""
        return json.dumps(
            {
                "model": self.model,
                "model_version": self.model_version,
                "messages": self.messages,
                "parameters": self.parameters,
                "response_schema": self.response_schema,
                "sample": self.sample,
                "session_id": self.session_id,
                "turn": self.turn,
            },
            allow_nan=False,
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, line: str) -> ChatRequest:
        """Reads what `to_json` wrote. Raises RequestInvalid."""
        try:
            return cls(**json.loads(line))
        except (ValueError, TypeError, AttributeError) as error:
            raise RequestInvalid(f"Not a request that l2a wrote: {error}") from error


def canonical_json(value: Any) -> str:
    """One text per JSON value, whatever the order of its keys: ASCII, keys sorted, 1.0 written as 1 (as RFC 8785 does).

    Raises RequestInvalid for NaN, infinities and values that JSON does not know.
    """
    try:
        return json.dumps(_plain(value), sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError) as error:
        raise RequestInvalid(f"A request holds a value that JSON cannot: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("keys must be strings")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
