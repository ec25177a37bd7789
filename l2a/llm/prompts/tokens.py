"""A policy's prompt as tokens: rendered by the model's own chat template, cut to the length that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from l2a.dialogue.types import Message
from l2a.llm.prompts.rollout import policy_messages
from l2a.llm.prompts.truncation import ChatMessages, fit

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Prompt:
    """What a policy reads before it speaks."""

    tokens: list[int]
    messages: list[dict[str, str]]
    dropped: int
    """Messages that lost all or part of their text, for want of room."""


def render(tokenizer: PreTrainedTokenizerBase, messages: ChatMessages) -> list[int]:
    """The tokens of a chat in which the policy speaks next: what an endpoint makes of the same messages."""
    text = tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False)
    tokens: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokens


def policy_prompt(
    tokenizer: PreTrainedTokenizerBase,
    context: Sequence[Message],
    *,
    goal: str | None = None,
    domain: str | None = None,
    stop_rule: bool = True,
    limit: int | None = None,
) -> Prompt:
    """The prompt of one context. limit: tokens that it may have; None: any number. The rest is `policy_messages`'s.

    Raises UsageError where even the instructions are longer than the limit.
    """
    whole = policy_messages(context, goal=goal, domain=domain, stop_rule=stop_rule)
    if limit is None:
        return Prompt(render(tokenizer, whole), whole, 0)
    messages, dropped = fit(whole, lambda some: len(render(tokenizer, some)), limit)
    return Prompt(render(tokenizer, messages), messages, dropped)
