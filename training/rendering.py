"""Turns as tokens: the prompt exactly as a server renders it, and what is to be learnt after it.

The messages are those of `l2a.llm.prompts.rollout`, the rendering is the model's own chat template: a policy is trained
on the very tokens that it gets when it is served.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from l2a.dialogue.types import Message
from l2a.llm.prompts.rollout import policy_messages
from l2a.llm.prompts.tokens import Prompt, policy_prompt, render
from training.data import Turn

IGNORED = -100
"""The label of a token that no loss is taken of."""
Chat = list[dict[str, str]]


def prompt_digest() -> str:
    """8 hexadecimal digits over how a turn becomes a prompt: a model that learnt another prompt is another model."""
    said = [Message(role, f"<{role}> [x]") for role in ("user", "assistant", "tool", "user")]
    chats = [policy_messages(said, goal="a goal", domain="a domain", stop_rule=rule) for rule in (True, False)]
    return hashlib.sha256(json.dumps(chats).encode()).hexdigest()[:8]


@dataclass
class Renderer:
    """Renders prompts of at most `limit` tokens; a longer one loses its oldest messages, and is counted."""

    tokenizer: Any
    limit: int
    stop_rule: bool = True
    prompts: int = 0
    shortened: int = 0

    def read(self, turn: Turn) -> Prompt:
        """What the policy reads at a turn."""
        d = turn.dialogue
        prompt = policy_prompt(
            self.tokenizer, turn.context, goal=d.goal, domain=d.domain, stop_rule=self.stop_rule, limit=self.limit
        )
        self.prompts += 1
        self.shortened += prompt.dropped > 0
        return prompt

    def chat(self, turn: Turn) -> Chat:
        """The chat messages that the policy sees at a turn."""
        return self.read(turn).messages

    def prompt(self, chat: Chat) -> list[int]:
        """Token ids of a chat, up to where the policy speaks."""
        return render(self.tokenizer, chat)

    def whole(self, chat: Chat) -> list[int]:
        """Token ids of a chat as far as it goes."""
        text = self.tokenizer.apply_chat_template(chat, tokenize=False)
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def answer(self, text: str) -> list[int]:
        """Token ids of what the policy is to say, its end among them."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [*ids, self.tokenizer.eos_token_id]


@dataclass(frozen=True)
class Example:
    """Tokens of a dialogue, and of which of them a loss is taken."""

    input_ids: list[int]
    labels: list[int]


def sequences(
    renderer: Renderer, dialogues: Iterable[Sequence[Turn]], limit: int, *, user_turns: bool = False, stops: int = 1
) -> list[Example]:
    """Training sequences with a loss on what the expert said at usable turns.

    A turn's prompt that goes on from the sequence before it shares its tokens, so that a dialogue is mostly one
    sequence; where it does not (messages fell off, or a tool spoke within an utterance) a new one begins.
    user_turns: a loss on what users say too. stops: how often a dialogue's STOP is shown, in sequences of its own
    beyond the first. limit: tokens of a whole sequence; an answer that goes beyond it is cut.
    """
    found: list[Example] = []
    for turns in dialogues:
        ids: list[int] = []
        labels: list[int] = []
        for turn in turns:
            prompt = renderer.read(turn).tokens
            if ids and prompt[: len(ids)] != ids:
                found.append(Example(ids, labels))
                ids, labels = [], []
            new = prompt[len(ids) :]
            # What stands before the first answer is the instructions and what the user opened with.
            labels = [*labels, *(new if user_turns else [IGNORED] * len(new))]
            answer = renderer.answer(turn.expert)[: max(1, limit - len(prompt))]
            ids, labels = [*prompt, *answer], [*labels, *answer]
            if turn.is_final:
                found += [Example(ids, [IGNORED] * len(prompt) + answer)] * (stops - 1)
        if ids:
            found.append(Example(ids, labels))
    return found
