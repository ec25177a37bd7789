"""The seam between l2a and whoever judges: two small protocols.

Backends: `embedded` (no LLM; learnt from the logs themselves) and `llm` (any OpenAI-compatible endpoint).
A judge's `name` is its version: it stands in `objectives.extractor` and `grades.grader`, and a judge that would
answer differently has another name. Judges see what a person in the dialogue saw, never labels of a data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from l2a.dialogue.types import Fact, Message


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What an extractor is given: one whole dialogue."""

    messages: Sequence[Message]
    domain: str | None = None
    goal: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What a grader is given: a policy's utterance, where it was said, and the I*_t that was worth asking for."""

    text: str
    information: Sequence[str]
    """I*_t as "attribute: value" strings; never empty (a STOP turn needs no grader)."""
    context: Sequence[Message] = ()
    domain: str | None = None
    goal: str | None = None
    future: Sequence[Message] = ()
    """What was said from here on in the logged dialogue, where it is known: where the items come from. A grader may
    read in it how an item was asked for and answered; it does without where it is empty."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a grader answers. Either `error` is set and the rest is None, or the other way round."""

    r_a: float | None
    """1.0 asks directly for an item of I*_t, 0.5 closely related, 0.0 irrelevant (section 4.2.5 of the paper)."""
    asks: bool | None
    """Whether the utterance asks for anything at all; decides Omega where it holds no question mark."""
    error: str | None = None
    item: int | None = None
    """Which item of the information it asks for, from 1; None: none, or this grader does not tell."""


class Extractor(Protocol):
    """Reads from a dialogue what the user supplied, and at which message."""

    @property
    def name(self) -> str: ...

    def extract(self, dialogues: Sequence[Dialogue]) -> list[list[Fact]]:
        """One list of facts per dialogue, in order of message_index; message_index always names a user message."""
        ...


class Grader(Protocol):
    """Says how directly an utterance asks for an item of the information set."""

    @property
    def name(self) -> str: ...

    def grade(self, questions: Sequence[Question]) -> list[Judgement]:
        """One judgement per question, in the same order. A failure is a Judgement with an error, never a zero."""
        ...
