"""From the bytes of a 200 response to an answer: envelope, text, structured value. Trusts nothing it is given.

A model or an endpoint may send anything: NaN, a million brackets, the same key twice, half a character. Each ends as an
error of the tree, never as an exception of another kind and never as a value that a table could not hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from l2a.llm.errors import BadRequest, EmptyAnswer, MalformedResponse, Refused, Unparseable

_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCE = re.compile(r"```(?:json)?(.*?)```", re.DOTALL | re.IGNORECASE)
_FINISHED = frozenset(
    {"stop", "length", "content_filter", "tool_calls", "function_call", "abort", "eos_token", "error"}
)
"""The reasons that endpoints give; what else one says may be anything, and is kept as `other`."""
_MOST_TOKENS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Reply:
    """What one answered try brought. `text` is None where the message has none; `refusal` where the model declined."""

    text: str | None
    refusal: str | None
    finish_reason: str | None
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


def read_reply(body: bytes) -> Reply:
    """The first choice and the usage of a chat completion. Raises MalformedResponse with the raw text."""
    try:
        envelope = json.loads(body.decode("utf-8"), parse_constant=lambda _: None)
        choice = envelope["choices"][0]
        message = choice["message"]
        text, refusal, reason = _joined(message.get("content")), message.get("refusal"), choice.get("finish_reason")
        usage = envelope.get("usage")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raw = body.decode("utf-8", "replace")
        why = f"The response is not a chat completion ({type(error).__name__})"
        raise MalformedResponse(why, status=200, text=storable(raw)) from error
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    prompt = _tokens(usage.get("prompt_tokens"))
    return Reply(
        text=storable(text) if isinstance(text, str) else None,
        refusal=refusal if isinstance(refusal, str) and refusal else None,
        finish_reason=None if not isinstance(reason, str) else reason if reason in _FINISHED else "other",
        prompt_tokens=prompt,
        cached_tokens=min(prompt, _tokens(details.get("cached_tokens") if isinstance(details, dict) else None)),
        completion_tokens=_tokens(usage.get("completion_tokens")),
    )


def check_reply(reply: Reply, schema: Mapping[str, Any] | None) -> str | None:
    """Canonical JSON of the structured answer, None where no schema was asked for.

    Raises Refused, EmptyAnswer, Unparseable (with the raw text), or BadRequest where the schema itself is none. A model
    that may say what it wants and ends at once has answered, with nothing.
    """
    if reply.refusal is not None or reply.finish_reason == "content_filter":
        raise Refused("The model or its content filter declined to answer", status=200, text=reply.text)
    if schema is None and reply.text is not None and (reply.text.strip() or reply.finish_reason == "stop"):
        return None
    if reply.text is None or not reply.text.strip():
        raise EmptyAnswer("The answer has no text", status=200)
    validator = _validator(json.dumps(schema, sort_keys=True))
    try:
        value = _value(reply.text)
        error = next(validator.iter_errors(value), None)
        if error is not None:
            # The validator's own message quotes the answer, which has no place in an error text.
            raise ValueError(f"not the asked schema: {error.validator} at {error.json_path[:100]}")
        parsed = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        parsed.encode("utf-8")  # half of a surrogate pair is a ValueError here, rather than in a table's writer
        return parsed
    except (ValueError, RecursionError) as error:
        cut = " (cut off at the token limit)" if reply.finish_reason == "length" else ""
        why = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else str(error)[:200]
        raise Unparseable(
            f"The answer is not the JSON that was asked for{cut}: {why}", status=200, text=reply.text
        ) from error


def _joined(content: Any) -> Any:
    """The text of a message's content, which may come in parts."""
    if not isinstance(content, list):
        return content
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "".join(text for text in texts if isinstance(text, str)) or None


def _value(text: str) -> Any:
    """The JSON value of an answer; around it may stand a model's thoughts, a code fence, or words without a brace.

    Raises ValueError where it is none, or where there are two: which of them counts would be a guess.
    """
    text = text.removeprefix("\ufeff")
    thought = _THOUGHT.match(text)
    text = (text[thought.end() :] if thought else text).strip()
    fenced = _FENCE.findall(text)
    if len(fenced) == 1 and "{" not in _FENCE.sub("", text):
        text = fenced[0].strip()
    start = text.find("{")
    if start < 0 or text.startswith("["):
        return _DECODER.decode(text)
    value, end = _DECODER.raw_decode(text, start)
    if "{" in text[end:]:
        raise ValueError("there is more than one object")
    return value


def storable(text: str) -> str:
    """`text` as UTF-8 can hold it: JSON may escape half of a surrogate pair, which no table takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=64)
def _validator(schema: str) -> Draft202012Validator:
    parsed = json.loads(schema)
    try:
        Draft202012Validator.check_schema(parsed)
    except SchemaError as error:
        raise BadRequest(f"The response schema is not a JSON schema: {error.message[:200]}") from error
    return Draft202012Validator(parsed)


def _tokens(value: Any) -> int:
    """A count of tokens, or 0 for whatever else an endpoint may put there."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS else 0


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise ValueError("a number is too large")
    return number


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Which of two values would count is the reader's guess; an answer that leaves it open can grade itself.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_without_duplicates)
