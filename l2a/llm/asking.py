"""One request from its first try to its row: tries, back-offs, the second question after an unparseable answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime

from l2a.llm.answer import AnswerRow
from l2a.llm.client import Client
from l2a.llm.endpoint import STALLED, Endpoint, Try
from l2a.llm.errors import (
    CallError,
    JobStopped,
    MalformedResponse,
    TerminalError,
    TimedOut,
    TransientError,
    Unparseable,
)
from l2a.llm.progress import Progress
from l2a.llm.reading import Reply, check_reply, read_reply
from l2a.llm.request import ChatRequest
from l2a.llm.router import Router
from l2a.llm.settings import LLMSettings

PATIENCE = 20
"""A try may take this many times the slowest recent answer (and 3 stall_seconds) before it is taken for hung."""
TRIES_PER_ATTEMPT = 4
"""Tries on endpoints on trial are not the request's fault and not counted as attempts, up to this many per attempt:
a request that brings endpoints down must end as a failed row."""

LOOK_SECONDS = 0.25
"""A request that was asked to wait looks so often for another endpoint."""


class Asking:
    """Everything that the requests of one run share, and `ask`, which turns one of them into a row."""

    def __init__(self, settings: LLMSettings, client: Client, router: Router, progress: Progress) -> None:
        self._settings = settings
        self._client = client
        self._router = router
        self._progress = progress
        self._limits: dict[Try, asyncio.Timeout] = {}
        self.reply_seen: Callable[[ChatRequest, Reply], None] = lambda request, reply: None
        """Told of every answered try (tokens are paid for then)."""

    def take_elsewhere(self, endpoint: Endpoint) -> None:
        """Ends the tries in flight at an endpoint that hung; their requests go on at another."""
        now = asyncio.get_running_loop().time()
        for limit in self._open_limits(endpoint).values():
            limit.reschedule(now)

    def wait_longer(self, endpoint: Endpoint) -> None:
        """Gives the tries in flight the time that a call sent now would have: answers may have become longer, or there
        is nowhere else to take the calls.
        """
        seconds = self._patience_in_use(endpoint)
        for call, limit in self._open_limits(endpoint).items():
            if not call.trial:
                limit.reschedule(max(limit.when() or 0.0, call.started + seconds))

    def _open_limits(self, endpoint: Endpoint) -> dict[Try, asyncio.Timeout]:
        # A limit that has run out in this very round of the loop can no longer be moved.
        found = {call: self._limits[call] for call in endpoint.tries if call in self._limits}
        return {call: limit for call, limit in found.items() if not limit.expired()}

    async def ask(self, request: ChatRequest) -> AnswerRow:
        """One request's row, ok or failed. Raises JobStopped."""
        return await _One(self, request).run()

    async def try_once(self, call: Try, request: ChatRequest, body: bytes, seconds: float) -> Reply:
        """One call, reported to its endpoint however it ends. Raises CallError or JobStopped."""
        loop = asyncio.get_running_loop()
        endpoint = call.endpoint
        limit = self._limits[call] = asyncio.timeout(seconds)
        self._progress.tries += 1
        try:
            raw = await self._client.ask(
                endpoint.url, body, request_id=request.request_id, model=request.model, limit=limit
            )
            answered = loop.time()
            reply = read_reply(raw)
            endpoint.answered(call, answered)
        except TransientError as error:
            endpoint.failed(call, loop.time(), error)
            raise
        except (CallError, JobStopped):
            endpoint.answered(call, loop.time())
            raise
        except BaseException:
            endpoint.given_up(call, loop.time())
            raise
        finally:
            del self._limits[call]
            self._router.freed()
            if endpoint.rest.on(loop.time()):
                loop.call_at(endpoint.rest.until, self._router.freed)
        self.reply_seen(request, reply)
        return reply

    def patience(self, call: Try) -> float:
        """Seconds that a first try may take: long for an honest call, shorter where an endpoint has to prove itself."""
        if not call.trial:
            return self._patience_in_use(call.endpoint)
        settings = self._settings
        # With another in use, short trials find out soonest that it is back. Without one, an endpoint whose answers
        # have become long must get to finish one, whichever request it is.
        longer = 2 ** min(call.endpoint.trials_unanswered, 20) if call.endpoint.alone else 1
        seconds = longer * max(settings.stall_seconds, STALLED * max(self._known(), default=0.0))
        return min(settings.try_timeout_seconds, seconds)

    def _patience_in_use(self, endpoint: Endpoint) -> float:
        settings, known = self._settings, self._known()
        if not known or endpoint.waited_for:
            return settings.try_timeout_seconds
        return min(settings.try_timeout_seconds, max(3 * settings.stall_seconds, PATIENCE * max(known)))

    def _known(self) -> list[float]:
        return [seconds for endpoint in self._router.endpoints for seconds in endpoint.latencies]


class _One:
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
        settings = self.asking._settings
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
            self.asking._progress.retried_by_class[failure.error_class] += 1
            await self._wait(wait, asked)

    async def _attempt(self, body: bytes) -> tuple[str, str | None]:
        asking, loop = self.asking, asyncio.get_running_loop()
        avoid = self._told(loop.time())
        # After a second failure there, or an answer that was none, another endpoint is worth more than a warm cache.
        if self.endpoint is not None and (self.attempts >= 2 or self.answer_was_none):
            avoid.add(self.endpoint)
        call = await asking._router.take(self.request.session_id or self.request.request_id, avoid)
        self.endpoint = call.endpoint
        self.tries += 1
        self.last_status = None
        self.reply = None
        seconds = min(asking.patience(call) * 4**self.timeouts, asking._settings.try_timeout_seconds)
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
        settings, now = self.asking._settings, asyncio.get_running_loop().time()
        # Full jitter keeps those that failed together from coming back together.
        if error.retry_after is None or self.endpoint is None:
            mean = settings.backoff_seconds * 2 ** min(max(self.attempts - 1, 0), 20)
            return random.uniform(0, min(settings.backoff_max_seconds, 2 * mean))
        self.told[self.endpoint] = now + min(error.retry_after, settings.endpoint_wait_seconds)
        told = self._told(now)
        if told and self.asking._router.elsewhere(told):
            return 0.0
        return min((self.told[endpoint] - now for endpoint in told), default=0.0) + random.uniform(
            0, settings.backoff_seconds
        )

    async def _wait(self, seconds: float, asked: bool) -> None:
        """Waits; where an endpoint asked for it, only until another takes calls."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while (left := began + seconds - loop.time()) > 0:
            if asked and self.asking._router.elsewhere(self._told(loop.time()) or self.asking._router.endpoints):
                break
            await asyncio.sleep(min(left, LOOK_SECONDS) if asked else left)
        self.seconds += loop.time() - began

    def _told(self, now: float) -> set[Endpoint]:
        """The endpoints that asked this request to wait for longer than until now."""
        return {endpoint for endpoint, until in self.told.items() if until > now}

    def _row(self, error: CallError | None = None, text: str | None = None, parsed: str | None = None) -> AnswerRow:
        key = self.asking._client.key
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
