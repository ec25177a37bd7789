"""The API key: read from the environment, put into one header, and kept out of everything else."""

from __future__ import annotations

import os
import re

from l2a.errors import UsageError
from l2a.settings.llm import DEFAULT_KEY_ENV

REDACTED = "[key]"
_KEY_LIKE = re.compile(r"\bsk-[\w-]{8,}|(?i:\bbearer\s+)[^\s\"',;]{8,}")
_SHORTEST_SECRET = 6
"""Shorter keys are placeholders such as EMPTY; replacing them would garble ordinary words."""


class ApiKey:
    """A key that shows itself to nobody: not in repr, not in str, not pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    @classmethod
    def from_environment(cls, name: str) -> ApiKey:
        """The key in environment variable `name`; no key where the default variable is not set.

        Raises UsageError where a variable named by the user is not set, or holds what a header cannot.
        """
        value = os.environ.get(name, "").strip()
        if not value and name != DEFAULT_KEY_ENV:
            raise UsageError(f"The API key is to come from the environment variable {name}, which is not set.")
        if not all("!" <= character <= "~" for character in value):
            raise UsageError(f"The environment variable {name} holds characters that a key cannot have.")
        return cls(value)

    def headers(self) -> dict[str, str]:
        """The Authorization header, or nothing."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def scrub(self, text: str) -> str:
        """`text` without the key: for answers, which are otherwise kept as they came."""
        if len(self._value) < _SHORTEST_SECRET:
            return text
        return text.replace(self._value, REDACTED)

    def scrub_error(self, text: str, limit: int = 300) -> str:
        """What an endpoint said about an error: one short line, without this key or anything that looks like one."""
        text = _KEY_LIKE.sub(REDACTED, self.scrub(text))
        text = "".join(character if character.isprintable() else " " for character in text)
        return text if len(text) <= limit else text[: limit - 1] + "…"

    def __repr__(self) -> str:
        return "ApiKey(set)" if self._value else "ApiKey(not set)"

    def __reduce__(self) -> tuple[type, tuple[()]]:
        raise TypeError("An API key is not pickled: every process reads its own environment.")
