"""What answered tries cost, also where the endpoint does not say how many tokens it took."""

from __future__ import annotations

import logging
from math import ceil

from l2a.llm.estimate import USUAL_BYTES_PER_TOKEN, prompt_text
from l2a.llm.progress import Progress
from l2a.llm.reading import Reply
from l2a.llm.request import ChatRequest
from l2a.settings.llm import LLMSettings

log = logging.getLogger(__name__)


class Spending:
    """Adds tokens and money to one run's progress. Tokens are what the endpoints told; money has the rest estimated."""

    def __init__(self, settings: LLMSettings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._warned = False
        self.paid = 0
        """Answered tries."""

    def pay(self, request: ChatRequest, reply: Reply) -> None:
        """Counts one answered try."""
        self.paid += 1
        progress = self._progress
        progress.prompt_tokens += reply.prompt_tokens
        progress.cached_tokens += reply.cached_tokens
        progress.completion_tokens += reply.completion_tokens
        # No prompt takes no token, and no text: such a count is a missing one.
        prompt = reply.prompt_tokens or _estimated(prompt_text(request))
        completion = reply.completion_tokens or _estimated(reply.text or "")
        if (prompt, completion) != (reply.prompt_tokens, reply.completion_tokens):
            self._warn()
        price = self._settings.prices.get(request.model)
        if price is not None:
            progress.cost += price.cost(prompt, reply.cached_tokens, completion)

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "an endpoint tells no token usage: its tokens are counted as 0, and money and the spending limit go by "
                "an estimate of %g bytes a token",
                USUAL_BYTES_PER_TOKEN,
            )


def _estimated(text: str) -> int:
    return ceil(len(text.encode("utf-8", "replace")) / USUAL_BYTES_PER_TOKEN)
