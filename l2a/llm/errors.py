"""What can go wrong with LLM calls: with one try, with one request, with the job.

    L2AError
    ├── CallError                  one request; its class name stands in the row's `error_class`
    │   ├── TransientError         tried again after a back-off; if it stays, the row fails and the next run tries again
    │   │   ├── RateLimited        429
    │   │   ├── Overloaded         502, 503, 504, 529: the endpoint or its gateway has no room
    │   │   ├── ServerError        any other 5xx
    │   │   │   └── MalformedResponse  200, and a body that is not what the API answers: a maintenance page, no choices
    │   │   ├── TimedOut           no whole answer within a try's time, or 408
    │   │   └── ConnectionFailed   refused, reset, cut off in the middle, TLS, name not found
    │   └── TerminalError          asking again would not help
    │       ├── TooLong            more tokens than the model takes (400 with the endpoint's word for it, 413)
    │       ├── Refused            the model or a content filter declined to answer
    │       ├── BadRequest         400, 422 and other 4xx: the endpoint does not take this request
    │       ├── Unparseable        not JSON, or not the asked schema; asked once more before it is final
    │       ├── EmptyAnswer        an answer without text
    │       └── HostileAnswer      larger than the limit, or encoded in a way that was not asked for
    └── JobStopped                 the whole job: nothing more is asked, everything finished is kept
        ├── WrongKey               401, 403
        ├── UnknownModel           404
        ├── WrongAddress           redirected, or a method that is not allowed: the URL is not a chat endpoint
        ├── QuotaExhausted         402, or a 429 that says that the account is spent
        ├── NoEndpointLeft         no endpoint has answered for `endpoint_wait_seconds`
        ├── SpendingLimitReached   the next call could pass `spending_limit`
        └── StoppedByCaller        the caller's stop check said so (another task of the job stopped, for example)

    UsageError
    ├── RequestInvalid             a request that cannot be addressed or sent
    └── ModelVersionRequired       nobody says which weights stand behind the model's name

A message never holds a key, a prompt or an answer: what an endpoint says about an error is cut short and scrubbed.
"""

from __future__ import annotations

from l2a.errors import L2AError, UsageError


class CallError(L2AError):
    """One request went wrong.

    `status` is the HTTP status (None where no response came), `retry_after` the seconds the endpoint asked us to wait
    (None where it did not), `text` the raw answer where there is one worth keeping.
    """

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None, text: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.text = text

    @property
    def error_class(self) -> str:
        """The name that stands in the row."""
        return type(self).__name__


class TransientError(CallError):
    """May pass: tried again."""


class RateLimited(TransientError):
    """429."""


class Overloaded(TransientError):
    """502, 503, 504, 529."""


class ServerError(TransientError):
    """Any other 5xx."""


class MalformedResponse(ServerError):
    """200, and a body that is not what the API answers; `text` keeps what came. It tells of the endpoint (a gateway's
    page, a server that is half up), not of the model, and so of no request in particular."""


class TimedOut(TransientError):
    """No whole answer in time."""


class ConnectionFailed(TransientError):
    """No connection, or it broke before the answer was whole."""


class TerminalError(CallError):
    """Asking again would not help."""


class TooLong(TerminalError):
    """More tokens than the model takes."""


class Refused(TerminalError):
    """The model or a content filter declined."""


class BadRequest(TerminalError):
    """The endpoint does not take this request."""


class Unparseable(TerminalError):
    """The model's answer is not JSON, or not the schema that was asked for; `text` keeps what came."""


class EmptyAnswer(TerminalError):
    """An answer without text, where JSON was asked for or the model did not end it by itself."""


class HostileAnswer(TerminalError):
    """Larger than the limit, or encoded in a way that was not asked for."""


class JobStopped(L2AError):
    """The job ends early: nothing more is asked, everything finished is kept.

    `counts` is what it paid until then, by column of `runs`.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.counts: dict[str, int] = {}


class WrongKey(JobStopped):
    """401 or 403."""


class UnknownModel(JobStopped):
    """404."""


class WrongAddress(JobStopped):
    """The URL is not a chat endpoint."""


class QuotaExhausted(JobStopped):
    """The account behind the key is spent."""


class NoEndpointLeft(JobStopped):
    """Every endpoint has been away for longer than the setting allows."""


class SpendingLimitReached(JobStopped):
    """The next call could pass the spending limit."""


class StoppedByCaller(JobStopped):
    """The caller's stop check ended the run."""


class RequestInvalid(UsageError):
    """A request that cannot be addressed or sent."""


class ModelVersionRequired(UsageError):
    """Nobody says which weights stand behind the model's name."""
