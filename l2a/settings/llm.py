"""Every number and name that a run of LLM calls depends on, checked where it is made."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

DEFAULT_KEY_ENV = "L2A_API_KEY"


class ModelPrice(BaseModel):
    """What a model costs, in any one currency, per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: float = Field(ge=0, description="Price of a million prompt tokens that were computed.")
    cached: float | None = Field(
        default=None, ge=0, description="Of a million prompt tokens from the prefix cache; None: as prompt."
    )
    completion: float = Field(ge=0, description="Price of a million completion tokens.")

    def cost(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> float:
        """Money for these tokens; cached_tokens are a part of prompt_tokens."""
        cached_price = self.prompt if self.cached is None else self.cached
        computed = prompt_tokens - cached_tokens
        return (computed * self.prompt + cached_tokens * cached_price + completion_tokens * self.completion) / 1e6


class LLMSettings(BaseModel):
    """Settings of the LLM engine. Times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoints: tuple[str, ...] = Field(
        (), description="Base URLs of OpenAI-compatible endpoints; /v1 is added to a bare host."
    )
    model: str | None = Field(default=None, description="The model's name at the endpoints.")
    policy_endpoints: tuple[str, ...] = Field(
        (), description="Where `l2a rollout` finds models served under their conditions' names; []: asked in process."
    )
    model_version: str | None = Field(
        default=None,
        description="Which weights stand behind the name; part of every call's address. None: asked of the endpoints.",
    )
    api_key_env: str = Field(
        default=DEFAULT_KEY_ENV, min_length=1, description="Environment variable that holds the API key."
    )

    max_in_flight: int = Field(
        default=64, ge=1, description="Ceiling of calls in flight, over all tasks and endpoints of a job."
    )
    first_in_flight: int = Field(
        default=8, ge=1, description="Calls in flight per endpoint to start from; adapts from there."
    )
    max_attempts: int = Field(default=12, ge=1, description="Tries of one request in one run before its row fails.")
    max_runs: int = Field(
        default=3, ge=1, description="Runs that try a request, the first among them, before it stays failed."
    )
    backoff_seconds: float = Field(
        default=0.5, gt=0, description="Mean wait before the second try; doubles with each further one."
    )
    backoff_max_seconds: float = Field(
        default=30, gt=0, description="Longest wait between tries that no Retry-After asked for."
    )
    connect_timeout_seconds: float = Field(default=10, gt=0, description="To open a connection.")
    try_timeout_seconds: float = Field(default=120, gt=0, description="One try, from sending to the last byte.")
    total_timeout_seconds: float = Field(
        default=900, gt=0, description="All tries and waits of one request; waiting for a free endpoint is not counted."
    )

    flush_seconds: float = Field(
        default=5, gt=0, description="A finished answer is handed over for storing within this time."
    )
    flush_rows: int = Field(default=2000, ge=1, description="Answers handed over at once, at most.")
    max_held_bytes: int = Field(
        default=256 << 20,
        ge=1,
        description="Request and answer bytes that one task holds before it stops reading new requests.",
    )
    max_answer_bytes: int = Field(default=1 << 20, ge=1024, description="A longer response is not read; its row fails.")

    endpoint_wait_seconds: float = Field(
        default=300, ge=0, description="With no endpoint left, wait this long, then stop the job."
    )
    breaker_failures: int = Field(
        default=10, ge=1, description="Failed tries in a row after which an endpoint is left."
    )
    probe_seconds: float = Field(
        default=1, gt=0, description="First wait before a left endpoint is tried again; doubles."
    )
    probe_max_seconds: float = Field(default=8, gt=0, description="Longest wait before a left endpoint is tried again.")
    stall_seconds: float = Field(
        default=10,
        gt=0,
        description="An endpoint with calls in flight that answers nothing for this long (and for 5 times the slowest "
        "recent answer) has hung: its calls are taken elsewhere.",
    )
    slow_factor: float = Field(
        default=4,
        gt=1,
        description="An endpoint this many times slower than it was and than the others is left for a while.",
    )
    stop_grace_seconds: float = Field(
        default=5, ge=0, description="When a job stops, calls in flight may still finish within this."
    )

    prices: dict[str, ModelPrice] = Field(
        default_factory=dict,
        description="Prices by model name, for a million tokens: prompt, completion, and cached where it differs.",
    )
    spending_limit: float | None = Field(
        default=None, gt=0, description="Money after which a job starts no further call."
    )

    @field_validator("endpoints", "policy_endpoints")
    @classmethod
    def _base_urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        bases = tuple(base_url(url) for url in urls)
        if len(set(bases)) != len(bases):
            raise ValueError("an endpoint is named twice")
        return bases

    @model_validator(mode="after")
    def _limit_needs_prices(self) -> LLMSettings:
        if self.spending_limit is not None and not self.prices:
            raise ValueError("spending_limit needs prices: without them nobody knows what a call costs")
        if self.limit_without_price:
            raise ValueError(f"spending_limit needs a price for model {self.model!r}")
        return self

    @property
    def limit_without_price(self) -> bool:
        """Whether nobody knows when the calls to the model reach the spending limit."""
        return self.spending_limit is not None and self.model is not None and self.model not in self.prices


def base_url(url: str) -> str:
    """The URL under which /chat/completions and /models lie.

    Raises ValueError for what is no http(s) URL, and for URLs with a password or a query: an endpoint's URL stands in
    tables and logs, where no secret may be.
    """
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an endpoint must be a URL such as http://127.0.0.1:8000/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("an endpoint's URL must hold no user, password or query: the key comes from the environment")
    _ = parts.port  # raises ValueError for what is no port
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"
