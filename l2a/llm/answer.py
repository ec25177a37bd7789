"""The row that a request ends as: one per request, ok or failed. Its fields are the columns of `llm_calls` and more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """What became of one request. status `ok`: text is set, error is None. status `failed`: the other way round,
    except for an answer that could not be parsed: its raw text is kept beside the error.
    """

    request_id: str
    model: str
    model_version: str
    endpoint: str | None
    """Base URL of the endpoint of the last try; None where none was made."""
    status: str
    """`ok` or `failed`."""
    error_class: str | None
    """A CallError's name (l2a.llm.errors)."""
    error: str | None
    text: str | None
    """The model's answer as it came."""
    parsed: str | None
    """Canonical JSON of the answer where a schema was asked for; None otherwise."""
    prompt_tokens: int
    """Tokens are sums over all tries that were answered, since each of them is paid for."""
    cached_tokens: int
    """The part of prompt_tokens that the endpoint served from its prefix cache."""
    completion_tokens: int
    latency_ms: int
    """Of the last try, from sending to the last byte."""
    attempts: int
    """HTTP tries, the last one included."""
    last_status: int | None
    """HTTP status of the last try; None where no response came."""
    finish_reason: str | None
    created_at: datetime
    """When the row was finished, UTC."""

    @property
    def ok(self) -> bool:
        """Whether it never needs to be asked again."""
        return self.status == "ok"
