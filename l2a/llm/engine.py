"""Requests in, batches of rows out, in the order in which they finish.

    async for rows in Engine(settings).answers(requests): ...

The engine reads requests as it has room for them, so that memory does not grow with their number; keeps the endpoints
full (router.py, limiter.py); and hands over what is finished at least every `flush_seconds`, so that the caller can
store it. A slow request holds back nobody: rows leave in the order in which they are finished. Request ids must be
distinct: looking up what was answered before is the caller's part.

When the job has to stop (JobStopped), nothing more is asked, calls in flight may finish within `stop_grace_seconds`,
all finished rows are handed over, and then the error is raised. Requests without a row are the next run's.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from itertools import islice

from l2a.errors import UsageError
from l2a.llm.answer import AnswerRow
from l2a.llm.asking import Asking
from l2a.llm.client import Client
from l2a.llm.endpoint import Endpoint, State
from l2a.llm.errors import JobStopped, NoEndpointLeft, SpendingLimitReached
from l2a.llm.one_request import OneRequest
from l2a.llm.progress import Progress
from l2a.llm.reading import Reply
from l2a.llm.request import ChatRequest
from l2a.llm.router import Router
from l2a.llm.spending import Spending
from l2a.settings.llm import LLMSettings

log = logging.getLogger(__name__)

Pull = Callable[[int], Awaitable[list[ChatRequest]]]
"""Up to that many further requests; an empty list when there are no more."""

TICK_SECONDS = 0.25
PULL_AT_ONCE = 64
HELD_PER_CALL = 4
"""Requests held per call that may be in flight: what the router can choose from, and what waits for its next try."""


class Engine:
    """One run of calls in one process. `progress` may be read at any time, from any thread.

    `tasks` processes share the job's ceiling and spending limit; this one, the `number`th, takes its part of
    the ceiling. `spent_elsewhere` is what the others have spent, and may be set from any thread.
    `stop_check` is asked a few times a second, must be quick, and returns the error with which to stop, or None.
    """

    def __init__(
        self,
        settings: LLMSettings,
        *,
        tasks: int = 1,
        number: int = 0,
        stop_check: Callable[[], JobStopped | None] | None = None,
        client: Client | None = None,
    ) -> None:
        if not settings.endpoints:
            raise UsageError("No LLM endpoint is set. Give --endpoint URL.")
        if tasks < 1:
            raise UsageError("An engine belongs to at least one task.")
        self.settings = settings
        self.progress = Progress()
        self._spending = Spending(settings, self.progress)
        share, rest = divmod(settings.max_in_flight, tasks)
        self._ceiling = max(1, share + (number % tasks < rest))
        self._sharing = tasks
        self.spent_elsewhere = 0.0
        self._stop_check = stop_check or (lambda: None)
        self._client = client or Client(settings)
        self._window = HELD_PER_CALL * self._ceiling + PULL_AT_ONCE
        self._held_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._finished: deque[tuple[float, AnswerRow]] = deque()
        self._finished_bytes = 0
        self._stopped: JobStopped | None = None
        self._broken: BaseException | None = None

    async def answers(
        self, requests: Iterable[ChatRequest] | AsyncIterable[ChatRequest]
    ) -> AsyncGenerator[list[AnswerRow]]:
        """Batches of rows, one row per request. Raises JobStopped after the last batch."""
        async with aclosing(self.answers_pulled(_puller(requests))) as batches:
            async for batch in batches:
                yield batch

    async def answers_pulled(self, pull: Pull) -> AsyncGenerator[list[AnswerRow]]:
        """As `answers`, for a source that is asked for requests."""
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        endpoints = [Endpoint(url, self.settings, self._ceiling) for url in self.settings.endpoints]
        self._router = Router(endpoints, self._ceiling, self._loop.time)
        self._router.held_back = lambda: self._stopped is not None
        self._asking = Asking(self.settings, self._client, self._router, self.progress)
        self._asking.reply_seen = self._pay
        batches: asyncio.Queue[list[AnswerRow] | None] = asyncio.Queue(maxsize=1)
        async with self._client:
            watching = asyncio.create_task(self._watch())
            watching.add_done_callback(self._task_ended)
            helpers = [asyncio.create_task(self._drive(pull, batches)), watching]
            try:
                while (batch := await batches.get()) is not None:
                    yield batch
                if self._broken is not None:
                    raise self._broken
                if self._stopped is not None:
                    raise self._stopped
            finally:
                await _cancel([*helpers, *self._tasks])

    def stop_soon(self, why: JobStopped) -> None:
        """As `stop`, from any thread, within a few moments."""
        self._stop_check = lambda: why

    def stop(self, why: JobStopped) -> None:
        """Starts no further call; `answers` ends with this error once calls in flight came back or were given up."""
        if self._stopped is not None:
            return
        log.error("stopping: %s", why)
        self._stopped = why
        self._changed.set()

    async def _drive(self, pull: Pull, batches: asyncio.Queue[list[AnswerRow] | None]) -> None:
        """Takes requests in and hands batches out until there are no more, or the job stops."""
        try:
            await self._drive_until_done(pull, batches)
        except Exception as error:  # the source of requests broke, or we did: what is finished is handed over first
            self._broken = error
        if self._stopped is not None or self._broken is not None:
            await self._wind_down()
        while self._finished:
            await batches.put(self._batch())
        await batches.put(None)

    async def _drive_until_done(self, pull: Pull, batches: asyncio.Queue[list[AnswerRow] | None]) -> None:
        pulling: asyncio.Task[list[ChatRequest]] | None = None
        ended = False
        try:
            while self._stopped is None and self._broken is None:
                self._changed.clear()
                if pulling is not None and pulling.done():
                    new, pulling = pulling.result(), None
                    ended = not new
                    for request in new:
                        self._add(request)
                if pulling is None and not ended and (room := self._room()) > 0:
                    pulling = asyncio.create_task(_pull(pull, min(room, PULL_AT_ONCE)))
                    pulling.add_done_callback(lambda _: self._changed.set())
                if ended and not self._tasks:
                    return
                wait = self._until_due()
                if wait <= 0 and not batches.full():
                    batches.put_nowait(self._batch())
                    continue
                # While the caller still stores the last batch, look again soon.
                try:
                    async with asyncio.timeout(wait if wait > 0 else 0.05):
                        await self._changed.wait()
                except TimeoutError:
                    pass
        finally:
            if pulling is not None:
                await _cancel([pulling])

    def _room(self) -> int:
        """Requests that may be taken in now. Small rooms are left to grow, so that requests come in chunks."""
        unsent = len(self._finished)
        if (
            unsent >= 2 * self.settings.flush_rows
            or self._held_bytes + self._finished_bytes >= self.settings.max_held_bytes
        ):
            return 0
        room = self._window - len(self._tasks)
        return room if room >= min(PULL_AT_ONCE, self._window // 8) else 0

    def _add(self, request: ChatRequest) -> None:
        self.progress.taken += 1
        task = asyncio.create_task(self._answer(request))
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, JobStopped):
                self.stop(error)
            elif self._broken is None:
                self._broken = error
        self._changed.set()

    async def _answer(self, request: ChatRequest) -> None:
        size = sum(len(str(message)) for message in request.messages)
        self._held_bytes += size
        try:
            row = await OneRequest(self._asking, request).run()
        finally:
            self._held_bytes -= size
        self.progress.count(row)
        self._finished.append((self._loop.time(), row))
        self._finished_bytes += len(row.text or "")

    def _until_due(self) -> float:
        """Seconds until the oldest finished row must be handed over."""
        if not self._finished:
            return 3600.0
        if len(self._finished) >= self.settings.flush_rows:
            return 0.0
        return self._finished[0][0] + self.settings.flush_seconds - self._loop.time()

    def _batch(self) -> list[AnswerRow]:
        count = min(len(self._finished), self.settings.flush_rows)
        rows = [self._finished.popleft()[1] for _ in range(count)]
        self._finished_bytes -= sum(len(row.text or "") for row in rows)
        return rows

    def _pay(self, request: ChatRequest, reply: Reply) -> None:
        self._spending.pay(request, reply)
        progress, limit = self.progress, self.settings.spending_limit
        if limit is not None:
            spent = progress.cost + self.spent_elsewhere
            # What is in flight, here and in the other tasks, will be paid as well, at about what calls cost so far.
            expected = spent + progress.cost / self._spending.paid * self._router.in_flight * self._sharing
            if expected >= limit:
                self.stop(
                    SpendingLimitReached(
                        f"The spending limit is reached: {spent:,.4f} of {limit:,.4f} spent, "
                        "calls in flight take the rest. Finished answers are kept; to go on, raise spending_limit."
                    )
                )

    async def _watch(self) -> None:
        """Looks after endpoints that say nothing, and after the caller's stop check."""
        last = self._loop.time()
        last_in_use = last
        while self._stopped is None:
            await asyncio.sleep(TICK_SECONDS)
            now = self._loop.time()
            # A pause of this process is not the endpoints' silence.
            passed, last = min(now - last, 2 * TICK_SECONDS), now
            endpoints = self._router.endpoints
            for endpoint in endpoints:
                if endpoint.tick(now, passed, [other for other in endpoints if other is not endpoint]):
                    self._asking.take_elsewhere(endpoint)
                else:
                    self._asking.wait_longer(endpoint)
            self._router.freed()
            self.progress.in_flight, self.progress.waiting = self._router.in_flight, self._router.waiting
            if any(endpoint.state is State.IN_USE for endpoint in endpoints):
                last_in_use = now
            elif now - last_in_use >= self.settings.endpoint_wait_seconds:
                said = "; ".join(f"{one.url}: {one.last_error}" for one in endpoints if one.last_error)
                self.stop(
                    NoEndpointLeft(
                        f"None of {', '.join(self.settings.endpoints)} has answered for {now - last_in_use:.0f} s"
                        + (f" ({said})" if said else "")
                        + ". Finished answers are kept; the next run goes on from there."
                    )
                )
            if (error := self._stop_check()) is not None:
                self.stop(error)

    async def _wind_down(self) -> None:
        """Lets calls in flight finish, for a while; those that wait are given up at once."""
        # What the spending limit allowed is paid for, so it is worth waiting for.
        spent = isinstance(self._stopped, SpendingLimitReached)
        deadline = self._loop.time() + (
            self.settings.try_timeout_seconds if spent else self.settings.stop_grace_seconds
        )
        while self._router.in_flight and (left := deadline - self._loop.time()) > 0:
            await asyncio.sleep(min(left, 0.05))
        await asyncio.sleep(0)
        await _cancel(list(self._tasks))
        self.progress.in_flight = self.progress.waiting = 0


def _puller(requests: Iterable[ChatRequest] | AsyncIterable[ChatRequest]) -> Pull:
    if isinstance(requests, AsyncIterable):
        source = aiter(requests)

        async def pull_async(most: int) -> list[ChatRequest]:
            request = await anext(source, None)
            return [] if request is None else [request]

        return pull_async
    iterator = iter(requests)

    async def pull(most: int) -> list[ChatRequest]:
        return list(islice(iterator, most))

    return pull


async def _pull(pull: Pull, most: int) -> list[ChatRequest]:
    return await pull(most)


async def _cancel(tasks: list[asyncio.Task[None]] | list[asyncio.Task[list[ChatRequest]]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
