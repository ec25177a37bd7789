"""What requests would take before they are asked: tokens and money, from a sample of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix

from l2a.llm.client import Client
from l2a.llm.errors import CallError
from l2a.llm.request import ChatRequest
from l2a.settings.llm import LLMSettings

USUAL_BYTES_PER_TOKEN = 4.0
"""Of English text with the usual vocabularies; other scripts take more bytes a character and fewer a token."""
TOKENIZED = 20
"""Requests that an endpoint is asked to count."""


@dataclass(frozen=True)
class Needed:
    """What a step would ask. All but `rows` are estimates where the sample is not everything."""

    rows: int
    calls: float
    prompt_tokens: float
    cached_tokens: float
    """At best: what a request shares with the one before it, or with the last one of its dialogue."""
    completion_tokens: float
    cost: float | None
    tokens_from: str
    answers_from: str

    def lines(self) -> list[tuple[str, float, str]]:
        """What, how much, known from where."""
        found = [
            ("rows that need an answer", float(self.rows), "counted"),
            ("calls to pay for", self.calls, "not in llm_calls, each once"),
            ("prompt tokens", self.prompt_tokens, self.tokens_from),
            ("of these cached, at best", self.cached_tokens, "shared with the request before"),
            ("completion tokens", self.completion_tokens, self.answers_from),
        ]
        return found if self.cost is None else [*found, ("cost", self.cost, "prices of the settings")]


def needed(
    requests: Sequence[ChatRequest],
    settings: LLMSettings,
    *,
    rows: int,
    scale: float,
    bytes_per_token: float | None,
    answer_tokens: float | None,
    longest_answer: int,
) -> Needed:
    """Adds up a sample of requests, in the order in which they would be asked, and scales it.

    bytes_per_token: None where no endpoint counts tokens. answer_tokens: mean of earlier answers; None: there are none,
    and the longest answer is taken.
    """
    per_token = bytes_per_token or USUAL_BYTES_PER_TOKEN
    size = shared = 0
    before: dict[str, str] = {}
    last = ""
    for request in requests:
        text = prompt_text(request)
        size += len(text.encode("utf-8", "replace"))
        same = (commonprefix([text, other]) for other in (before.get(request.session_id, ""), last))
        shared += max(len(prefix.encode("utf-8", "replace")) for prefix in same)
        before[request.session_id] = last = text
    calls = len(requests) * scale
    prompt, cached = size / per_token * scale, shared / per_token * scale
    completion = calls * (longest_answer if answer_tokens is None else answer_tokens)
    price = settings.prices.get(settings.model or "")
    return Needed(
        rows=rows,
        calls=calls,
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=completion,
        cost=None if price is None else price.cost(round(prompt), round(cached), round(completion)),
        tokens_from="counted by the endpoint" if bytes_per_token else f"{USUAL_BYTES_PER_TOKEN:g} bytes a token",
        answers_from="the longest allowed" if answer_tokens is None else "earlier answers",
    )


def bytes_per_token(settings: LLMSettings, lines: Sequence[str]) -> float | None:
    """Bytes a prompt token, as an endpoint counts them (vLLM's POST /tokenize); None where none does."""
    step = max(1, len(lines) // TOKENIZED)
    chosen = [ChatRequest.from_json(line) for line in lines[::step][:TOKENIZED]]
    return asyncio.run(_counted(settings, chosen)) if chosen and settings.endpoints else None


async def _counted(settings: LLMSettings, requests: Sequence[ChatRequest]) -> float | None:
    url = settings.endpoints[0].removesuffix("/v1") + "/tokenize"
    size = tokens = 0
    async with Client(settings) as client:
        for request in requests:
            try:
                status, body = await client.post(url, {"model": request.model, "messages": list(request.messages)})
                counted = json.loads(body)["count"] if status == 200 else None
            except (CallError, ValueError, LookupError, TypeError):
                counted = None
            if not isinstance(counted, int) or counted <= 0:
                return None
            size += len(prompt_text(request).encode("utf-8", "replace"))
            tokens += counted
    return size / tokens


def prompt_text(request: ChatRequest) -> str:
    """What its messages say, one after the other."""
    return "".join(str(message.get("content", "")) for message in request.messages)
