"""The prompt of a policy: instructions, then the context C_{t-1} as a chat, in which the policy speaks next.

Training and serving use the same messages. What is shared comes first (the instructions, then the dialogue), so that an
endpoint's prefix cache serves one turn from the turn before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from l2a.dialogue.types import Message
from l2a.llm.prompts import VERSION, instructions
from l2a.llm.prompts.frame import about
from l2a.llm.request import ChatRequest

_ESCAPES = {ord("<"): "\u2039", ord(">"): "\u203a", ord("["): "\uff3b", ord("]"): "\uff3d"}
"""Chat templates speak in tags such as `<|im_end|>` or `[/INST]`, and we mark who spoke as `[tool]`. What others said
must not: brackets of theirs become others that look alike."""


ABOUT = "What the dialogue is about: "


def policy_messages(
    context: Sequence[Message],
    *,
    goal: str | None = None,
    domain: str | None = None,
    stop_rule: bool = True,
    version: str = VERSION,
) -> list[dict[str, str]]:
    """Chat messages: system, then user and assistant in turns; messages of one side in a row are one.

    A system or tool message of the dialogue is something that the expert saw: it stands on the user's side, marked.
    stop_rule: False leaves out that and when to stop, for the ablation that is never rewarded for stopping.
    """
    system = instructions("rollout" if stop_rule else "rollout_without_stop", version)
    if goal or domain:
        system += f"\n\n{ABOUT}{about(goal, domain)}"
    said = [{"role": "system", "content": system}]
    for role, messages in groupby(context, lambda message: "assistant" if message.role == "assistant" else "user"):
        said.append({"role": role, "content": "\n".join(map(_text, messages))})
    return said


def rollout_request(
    context: Sequence[Message],
    *,
    model: str,
    model_version: str,
    sample: int,
    temperature: float,
    max_tokens: int,
    goal: str | None = None,
    domain: str | None = None,
    session_id: str = "",
    turn: int = 0,
    version: str = VERSION,
) -> ChatRequest:
    """The request for one sample. At temperature 0 every sample is the same request."""
    parameters: Mapping[str, Any] = {"temperature": temperature, "max_tokens": max_tokens}
    return ChatRequest(
        model=model,
        model_version=model_version,
        messages=policy_messages(context, goal=goal, domain=domain, version=version),
        parameters=parameters,
        sample=sample if temperature else 0,
        session_id=session_id,
        turn=turn,
    )


def _text(message: Message) -> str:
    text = message.content.translate(_ESCAPES)
    return text if message.role in ("user", "assistant") else f"[{message.role}] {text}"
