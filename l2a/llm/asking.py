"""What the requests of one run share: their calls, each reported to its endpoint, and how long one may take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from l2a.llm.client import Client
from l2a.llm.endpoint import STALLED, Endpoint, Try
from l2a.llm.errors import CallError, JobStopped, TransientError
from l2a.llm.progress import Progress
from l2a.llm.reading import Reply, read_reply
from l2a.llm.request import ChatRequest
from l2a.llm.router import Router
from l2a.settings.llm import LLMSettings

PATIENCE = 20
"""A try may take this many times the slowest recent answer (and 3 stall_seconds) before it is taken for hung."""


class Asking:
    """Sends the calls of one run."""

    def __init__(self, settings: LLMSettings, client: Client, router: Router, progress: Progress) -> None:
        self.settings = settings
        self.client = client
        self.router = router
        self.progress = progress
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

    async def try_once(self, call: Try, request: ChatRequest, body: bytes, seconds: float) -> Reply:
        """One call, reported to its endpoint however it ends. Raises CallError or JobStopped."""
        loop = asyncio.get_running_loop()
        endpoint = call.endpoint
        limit = self._limits[call] = asyncio.timeout(seconds)
        self.progress.tries += 1
        try:
            raw = await self.client.ask(
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
            self.router.freed()
            if endpoint.rest.on(loop.time()):
                loop.call_at(endpoint.rest.until, self.router.freed)
        self.reply_seen(request, reply)
        return reply

    def patience(self, call: Try) -> float:
        """Seconds that a first try may take: long for an honest call, shorter where an endpoint has to prove itself."""
        if not call.trial:
            return self._patience_in_use(call.endpoint)
        settings = self.settings
        # With another in use, short trials find out soonest that it is back. Without one, an endpoint whose answers
        # have become long must get to finish one, whichever request it is.
        longer = 2 ** min(call.endpoint.trials_unanswered, 20) if call.endpoint.alone else 1
        seconds = longer * max(settings.stall_seconds, STALLED * max(self._known(), default=0.0))
        return min(settings.try_timeout_seconds, seconds)

    def _patience_in_use(self, endpoint: Endpoint) -> float:
        settings, known = self.settings, self._known()
        if not known or endpoint.waited_for:
            return settings.try_timeout_seconds
        return min(settings.try_timeout_seconds, max(3 * settings.stall_seconds, PATIENCE * max(known)))

    def _known(self) -> list[float]:
        return [seconds for endpoint in self.router.endpoints for seconds in endpoint.latencies]
