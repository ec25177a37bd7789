"""Why a line is no single JSON value, in words that a person can act on. Only rejected lines come here."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

_BLANKS = " \t\r\n"
"""JSON's white space: a form feed or a no-break space is none."""


class _DuplicateKey(Exception):
    pass


def diagnose(line: str) -> str:
    """The reason for a line that Spark refused; the text before the colon names the kind."""
    text = line.strip(_BLANKS)
    try:
        value, end = _DECODER.raw_decode(text)
    except _DuplicateKey as error:
        return f"duplicate keys: {error} comes twice in one object"
    except RecursionError:
        return "not JSON: nested too deep"
    except json.JSONDecodeError as error:
        if _cut_off(text, error):
            return "truncated JSON: the line ends inside a value"
        return f"not JSON: {error.msg} at character {error.pos + 1}"
    except ValueError as error:
        return f"not JSON: {error}"
    rest = text[end:].strip(_BLANKS)
    if rest and isinstance(value, dict):
        return f"rubbish after the object: {rest[:40] if rest[:40].strip() else ascii(rest[:40])}"
    if rest:  # such as a line that starts with a year: a number and more
        return f"not JSON: the line goes on after {json.dumps(value)[:40]}"
    if not _encodable(value):
        return "not JSON: half of a surrogate pair (\\ud800 to \\udfff) stands alone"
    return "not JSON: nested too deep, or larger than the parser takes"


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKey(repr(key))
            seen.add(key)
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_no_doubles, parse_constant=_no_constant)


_CONSTANTS = ("true", "false", "null")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][+-]?\d*)?")
_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,4})?")


def _cut_off(text: str, error: json.JSONDecodeError) -> bool:
    """Whether the text stops inside a value, rather than going wrong in the middle of it."""
    if not text.startswith(("{", "[")):
        return False
    if error.msg.startswith("Unterminated string") or error.pos >= len(text):
        return True
    tail = text[error.pos :]
    if error.msg.startswith("Invalid \\"):
        return _ESCAPE.fullmatch(text[text.rindex("\\") :]) is not None
    if error.msg == "Expecting value":
        return tail == "-" or any(word.startswith(tail) for word in _CONSTANTS)
    # The parser takes the good part of `1.` or `2e+` for a number, and finds fault with what follows.
    start = len(text.rstrip("+-.0123456789eE"))
    return start < error.pos and _NUMBER.fullmatch(text, start) is not None


def _encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (UnicodeEncodeError, RecursionError):
        return False
    return True
