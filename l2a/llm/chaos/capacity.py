"""The simulated machine behind the chaos endpoint: how long a call takes, and what its prefix cache knows."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import xxhash

from l2a.llm.chaos.plan import ChaosSettings

BYTES_PER_TOKEN = 4


class Full(Exception):
    """No slot is free and the queue is at its bound."""


class Capacity:
    """Slots, a fixed rate, and time per token."""

    def __init__(self, settings: ChaosSettings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.slots) if settings.slots else None
        self._next_call = 0.0
        self.working = self.queued = self.most_at_once = 0

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A slot to work in. Raises Full."""
        bound = self._settings.max_queue
        if self._slots is not None and bound is not None and self._slots.locked() and self.queued >= bound:
            raise Full
        self.queued += 1
        self.most_at_once = max(self.most_at_once, self.working + self.queued)
        try:
            if self._slots is not None:
                await self._slots.acquire()
        finally:
            self.queued -= 1
        self.working += 1
        try:
            yield
        finally:
            self.working -= 1
            if self._slots is not None:
                self._slots.release()

    async def work(self, computed_tokens: int, completion_tokens: int) -> None:
        """Takes the time of one call."""
        settings, now = self._settings, asyncio.get_running_loop().time()
        until = now + settings.latency_seconds
        if settings.prompt_tokens_per_second:
            until += computed_tokens / settings.prompt_tokens_per_second
        if settings.completion_tokens_per_second:
            until += completion_tokens / settings.completion_tokens_per_second
        if settings.calls_per_second:
            self._next_call = max(self._next_call, now) + 1 / settings.calls_per_second
            until = max(until, self._next_call)
        if until > now:
            await asyncio.sleep(until - now)


class PrefixCache:
    """Blocks of tokens seen before at the beginning of a prompt, as vLLM's automatic prefix caching keeps them."""

    def __init__(self, block_tokens: int, most_blocks: int) -> None:
        self._block_bytes = block_tokens * BYTES_PER_TOKEN
        self._block_tokens = block_tokens
        self._most = most_blocks
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def look_up(self, prompt: bytes) -> int:
        """Tokens of the prompt's longest known prefix; from now on all of it is known."""
        chain, cached, known = 0, 0, True
        for start in range(0, len(prompt) - self._block_bytes + 1, self._block_bytes):
            # A block is the same only after the same beginning.
            chain = xxhash.xxh64_intdigest(prompt[start : start + self._block_bytes], seed=chain)
            known = known and chain in self._blocks
            cached += self._block_tokens if known else 0
            self._blocks[chain] = None
            self._blocks.move_to_end(chain)
        while len(self._blocks) > self._most:
            self._blocks.popitem(last=False)
        return cached


def tokens(text: bytes) -> int:
    """A rough count: a token is four bytes."""
    return -(-len(text) // BYTES_PER_TOKEN)
