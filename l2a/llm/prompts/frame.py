"""How dialogues and other people's texts stand in a prompt: as JSON, which its content cannot end.

A message that holds quotes, line breaks, our own markup or a chat template's control tokens (`<|im_end|>`, `[/INST]`,
`[|assistant|]`) stays one string on one line: quotes and line breaks are escaped by JSON, and so are angle and square
brackets, so that no tag and no control token ever stands in a prompt that we did not write. Other scripts stay as they
are: escapes would cost tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from l2a.dialogue.types import Message

GOAL_CHARACTERS = 1_000
"""Of a goal: it is part of the instructions, which are never cut to make a prompt fit."""
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
"""A string of a JSON text. The brackets outside are JSON's own."""
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", 0x2028: "\\u2028", 0x2029: "\\u2029", 0x85: "\\u0085"}


def data(value: Any) -> str:
    """`value` as JSON on one line, without angle brackets, and without square ones in its strings."""
    plain = json.dumps(value, ensure_ascii=False, separators=(", ", ": ")).translate(_ESCAPES)
    return _STRING.sub(_without_brackets, plain) if "[" in plain or "]" in plain else plain


def _without_brackets(string: re.Match[str]) -> str:
    return string.group().replace("[", "\\u005b").replace("]", "\\u005d")


def dialogue_lines(messages: Sequence[Message], first: int = 0) -> str:
    """One JSON line per message: its number in the dialogue, role and content."""
    return "\n".join(
        data({"message": number, "role": "expert" if message.role == "assistant" else message.role,
              "content": message.content})
        for number, message in enumerate(messages, first)
    )  # fmt: skip


def about(goal: str | None, domain: str | None) -> str:
    """A line of data about goal and domain; the goal of a dialogue is not always known, and cut where it is a book."""
    cut = goal[:GOAL_CHARACTERS] + "…" if goal and len(goal) > GOAL_CHARACTERS else goal
    known = {"goal": cut, "domain": domain}
    return data({name: value for name, value in known.items() if value}) if goal or domain else "{}"
