"""One request from its first try to its row: tries, back-offs, the second question after an unparseable answer."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

from l2a.llm.answer import AnswerRow
from l2a.llm.asking import Asking
from l2a.llm.endpoint import Endpoint
from l2a.llm.errors import CallError, MalformedResponse, TerminalError, TimedOut, TransientError, Unparseable
from l2a.llm.reading import Reply, check_reply
from l2a.llm.request import ChatRequest

TRIES_PER_ATTEMPT = 4
"""Tries on endpoints on trial are not the request's fault and not counted as attempts, up to this many per attempt:
a request that brings endpoints down must end as a failed row."""

LOOK_SECONDS = 0.25
"""A request that was asked to wait looks so often for another endpoint."""


class OneRequest:
    """The state of one request under way."""

    def __init__(self, asking: Asking, request: ChatRequest) -> None:
        self.asking = asking
        self.request = request
        self.tries = self.attempts = 0
        self.prompt = self.cached = self.completion = 0
        self.seconds = 0.0
        self.latency = 0.0
        self.endpoint: Endpoint | None = None
        self.last_status: int | None = None
        self.reply: Reply | None = None
        self.asked_again = False
        self.answer_was_none = False
        """Whether the last try was answered with something that cannot be used."""
        self.timeouts = 0
        self.told: dict[Endpoint, float] = {}
        """Until when each endpoint asked this request to wait."""

    async def run(self) -> AnswerRow:
        """Its row, ok or failed. Raises JobStopped."""
        settings = self.asking.settings
        while True:
            try:
                text, parsed = await self._attempt(self.request.body(again=int(self.asked_again)))
                return self._row(text=text, parsed=parsed)
            except Unparseable as error:
                if self.asked_again:
                    return self._row(error)
                self.asked_again = True
                failure: CallError = error
                wait, asked = 0.0, False
            except TerminalError as error:
                return self._row(error)
            except TransientError as error:
                failure = error
                wait, asked = self._back_off(error), error.retry_after is not None
                over = self.attempts >= settings.max_attempts or self.tries >= TRIES_PER_ATTEMPT * settings.max_attempts
                if over or self.seconds + wait > settings.total_timeout_seconds:
                    return self._row(error)
            self.answer_was_none = isinstance(failure, (Unparseable, MalformedResponse))
            self.asking.progress.retried_by_class[failure.error_class] += 1
            await self._wait(wait, asked)

    async def _attempt(self, body: bytes) -> tuple[str, str | None]:
        asking, loop = self.asking, asyncio.get_running_loop()
        avoid = self._told(loop.time())
        # After a second failure there, or an answer that was none, another endpoint is worth more than a warm cache.
        if self.endpoint is not None and (self.attempts >= 2 or self.answer_was_none):
            avoid.add(self.endpoint)
        call = await asking.router.take(self.request.session_id or self.request.request_id, avoid)
        self.endpoint = call.endpoint
        self.tries += 1
        self.last_status = None
        self.reply = None
        seconds = min(asking.patience(call) * 4**self.timeouts, asking.settings.try_timeout_seconds)
        started = loop.time()
        try:
            self.reply = reply = await asking.try_once(call, self.request, body, seconds)
            self.last_status = 200
        except CallError as error:
            self.last_status = error.status
            self.attempts += isinstance(error, TransientError) and not call.trial
            self.timeouts += isinstance(error, TimedOut)
            raise
        finally:
            self.latency = loop.time() - started
            self.seconds += self.latency
        self.prompt += reply.prompt_tokens
        self.cached += reply.cached_tokens
        self.completion += reply.completion_tokens
        parsed = check_reply(reply, self.request.response_schema)
        assert reply.text is not None  # check_reply refuses answers without text
        return reply.text, parsed

    def _back_off(self, error: TransientError) -> float:
        """Seconds until the next try: what the endpoint asked for, unless another takes calls; else exponential with
        full jitter.
        """
        settings, now = self.asking.settings, asyncio.get_running_loop().time()
        # Full jitter keeps those that failed together from coming back together.
        if error.retry_after is None or self.endpoint is None:
            mean = settings.backoff_seconds * 2 ** min(max(self.attempts - 1, 0), 20)
            return random.uniform(0, min(settings.backoff_max_seconds, 2 * mean))
        self.told[self.endpoint] = now + min(error.retry_after, settings.endpoint_wait_seconds)
        told = self._told(now)
        if told and self.asking.router.elsewhere(told):
            return 0.0
        return min((self.told[endpoint] - now for endpoint in told), default=0.0) + random.uniform(
            0, settings.backoff_seconds
        )

    async def _wait(self, seconds: float, asked: bool) -> None:
        """Waits; where an endpoint asked for it, only until another takes calls."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while (left := began + seconds - loop.time()) > 0:
            if asked and self.asking.router.elsewhere(self._told(loop.time()) or self.asking.router.endpoints):
                break
            await asyncio.sleep(min(left, LOOK_SECONDS) if asked else left)
        self.seconds += loop.time() - began

    def _told(self, now: float) -> set[Endpoint]:
        """The endpoints that asked this request to wait for longer than until now."""
        return {endpoint for endpoint, until in self.told.items() if until > now}

    def _row(self, error: CallError | None = None, text: str | None = None, parsed: str | None = None) -> AnswerRow:
        key = self.asking.client.key
        text = text if error is None else error.text
        return AnswerRow(
            request_id=self.request.request_id,
            model=self.request.model,
            model_version=self.request.model_version,
            endpoint=self.endpoint.url if self.endpoint else None,
            status="ok" if error is None else "failed",
            error_class=None if error is None else error.error_class,
            error=None if error is None else str(error),
            text=None if text is None else key.scrub(text),
            parsed=None if parsed is None else key.scrub(parsed),
            prompt_tokens=self.prompt,
            cached_tokens=self.cached,
            completion_tokens=self.completion,
            latency_ms=round(1000 * self.latency),
            attempts=self.tries,
            last_status=self.last_status,
            finish_reason=self.reply.finish_reason if self.reply else None,
            created_at=datetime.now(UTC),
        )
