"""How the chaos endpoint is set up, and which fault a request meets at which try."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Fault(StrEnum):
    """What can go wrong with a request. The first group passes after `fault_tries` tries at most, the second stays."""

    RATE_LIMIT = "rate_limit"
    """429 with Retry-After."""
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    """503."""
    HANG = "hang"
    """Takes the request and never answers."""
    DROP = "drop"
    """Closes the connection before the answer."""
    CUT = "cut"
    """Closes the connection in the middle of the answer."""
    SLOW_BODY = "slow_body"
    """Sends the answer in small pieces over `slow_seconds`."""
    BROKEN_JSON = "broken_json"
    """200 with content that is not JSON, on the first try only."""

    WRONG_SCHEMA = "wrong_schema"
    """200 with JSON of another form."""
    TOO_LONG = "too_long"
    """400 in vLLM's words for a prompt beyond the context."""
    BAD_REQUEST = "bad_request"
    REFUSAL = "refusal"
    EMPTY = "empty"
    HOSTILE = "hostile"
    """200 with a body from hostile.py."""


PASSING = (
    Fault.RATE_LIMIT, Fault.SERVER_ERROR, Fault.OVERLOADED, Fault.HANG, Fault.DROP, Fault.CUT, Fault.SLOW_BODY,
)  # fmt: skip


class Mode(StrEnum):
    """How the whole endpoint behaves, until switched."""

    NORMAL = "normal"
    DOWN = "down"
    """Closes every connection at once."""
    HANG = "hang"
    SLOW = "slow"
    """Every call takes `slow_seconds` more."""
    OVERLOADED = "overloaded"
    """503 to everybody."""
    WRONG_KEY = "wrong_key"
    UNKNOWN_MODEL = "unknown_model"


class ChaosSettings(BaseModel):
    """Settings of one chaos endpoint. Times are in seconds; None or 0 for a capacity means without bound."""

    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    model: str = Field(default="chaos", description="The model's name; any other name is answered with 404.")
    model_version: str | None = Field(
        default="1", description="What GET /models tells as model_version; None: nothing."
    )
    api_key: str | None = Field(default=None, description="The key to ask for; None takes any, and none.", repr=False)
    faults: dict[Fault, float] = Field(default_factory=dict, description="Share of requests that meet each fault.")
    fault_tries: int = Field(
        default=2, ge=1, description="A fault that passes meets the first 1 to this many tries of its request."
    )
    retry_after_seconds: float = Field(
        default=0.2, ge=0, description="In the Retry-After of a 429; written to a tenth."
    )
    slow_seconds: float = Field(default=2.0, ge=0)
    slots: int | None = Field(default=None, ge=1, description="Calls worked on at once; the rest queue.")
    max_queue: int | None = Field(default=None, ge=0, description="Calls that may queue; more are answered 429.")
    calls_per_second: float | None = Field(default=None, gt=0)
    latency_seconds: float = Field(default=0.0, ge=0, description="Of each call, besides its tokens.")
    completion_tokens_per_second: float | None = Field(default=None, gt=0, description="Of one call.")
    prompt_tokens_per_second: float | None = Field(
        default=None, gt=0, description="Of one call; cached tokens cost nothing."
    )
    block_tokens: int = Field(default=16, ge=1, description="The prefix cache knows whole blocks of this many tokens.")
    cache_blocks: int = Field(default=100_000, ge=0)
    max_model_len: int = Field(default=32_768, ge=1, description="Tokens; a longer prompt is answered as vLLM does.")
    log_file: Path | None = Field(
        default=None, description="Every served request, one JSON line each, written at once."
    )

    @model_validator(mode="after")
    def _shares(self) -> ChaosSettings:
        if any(share < 0 for share in self.faults.values()) or sum(self.faults.values()) > 1 + 1e-9:
            raise ValueError("the shares of faults must be at least 0 and add up to at most 1")
        return self


def fault_of(settings: ChaosSettings, request: str, attempt: int) -> Fault | None:
    """What request `request` (its address) meets at its try number `attempt` (from 0). The same in every process."""
    drawn, tries = draw(settings.seed, request, "fault"), draw(settings.seed, request, "tries")
    for fault, share in sorted(settings.faults.items()):
        if drawn < share:
            if fault in PASSING and attempt > int(tries * settings.fault_tries):
                return None
            return None if fault is Fault.BROKEN_JSON and attempt > 0 else fault
        drawn -= share
    return None


def draw(seed: int, *words: str) -> float:
    """A number in [0, 1) that depends on its arguments alone."""
    digest = hashlib.blake2b("\n".join((str(seed), *words)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
