"""The two small records that everything else speaks in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["user", "assistant", "system", "tool"]
"""`assistant` is the expert. Only user and assistant messages make decision points (docs: slicing)."""

Decision = Literal["CONTINUE", "STOP"]

STOP_MARK = "<stop />"
"""How an utterance says STOP (arXiv 2510.25441, section 3: the state assessment s_t)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a dialogue. Consecutive messages of one role are one utterance."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A piece of information that the user supplies at messages[message_index] (0-based)."""

    message_index: int
    attribute: str
    value: str

    def __str__(self) -> str:
        """The form in which information sets hold it: "attribute: value"."""
        return f"{self.attribute}: {self.value}"
