"""The two small records that everything else speaks in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Decision = Literal["CONTINUE", "STOP"]

STOP_MARK = "<stop />"
"""How an utterance says STOP (arXiv 2510.25441, section 3: the state assessment s_t)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a dialogue: of the user, the expert (`assistant`), `system` or `tool`."""

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
