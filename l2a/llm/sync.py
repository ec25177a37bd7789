"""The engine for callers without an event loop, such as a Spark task.

    for rows in answer_batches(requests, settings): store(rows)

The engine runs in a thread of its own. The iterator of requests is read in the caller's thread, in between batches: a
Spark task's input comes through one socket, which no second thread may touch. While the caller stores a batch, calls go
on with the requests that were read before.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from contextlib import aclosing

from l2a.llm.answer import AnswerRow
from l2a.llm.engine import Engine
from l2a.llm.request import ChatRequest
from l2a.settings.llm import LLMSettings


def answer_batches(
    requests: Iterable[ChatRequest], settings: LLMSettings, *, tasks: int = 1, engine: Engine | None = None
) -> Iterator[list[AnswerRow]]:
    """Batches of rows in the order in which they finish, one row per request, at least every `flush_seconds`.

    `tasks` is the number of tasks that share the ceiling; give an `engine` instead to read its progress or to set a
    stop check. Closing the generator ends the calls in flight. Raises JobStopped after the last batch, and whatever the
    iterator of requests raises, after handing over what was finished.
    """
    bridge = _Bridge(engine or Engine(settings, tasks=tasks))
    iterator = iter(requests)
    bridge.start()
    try:
        while True:
            wanted, batch = bridge.next_thing()
            if batch is not None:
                yield batch
            elif wanted:
                bridge.give(*_read(iterator, wanted, bridge))
            else:
                break
    finally:
        bridge.close()
    if bridge.error is not None:
        raise bridge.error


class Asker:
    """Asks again and again within one job, whose spending limit holds for all of it.

    tasks, number: how many processes of the job ask, each with its share of the limit and of the calls in flight, and
    which of them this is.
    """

    def __init__(self, settings: LLMSettings, *, tasks: int = 1, number: int = 0) -> None:
        limit = settings.spending_limit
        self._settings = settings.model_copy(update={"spending_limit": None if limit is None else limit / tasks})
        self._tasks, self._number = tasks, number
        self._spent = 0.0

    def batches(self, requests: Iterable[ChatRequest]) -> Iterator[list[AnswerRow]]:
        """As `answer_batches`. Raises JobStopped."""
        engine = Engine(self._settings, tasks=self._tasks, number=self._number)
        engine.spent_elsewhere = self._spent
        try:
            yield from answer_batches(requests, self._settings, engine=engine)
        finally:
            self._spent += engine.progress.cost


def _read(
    iterator: Iterator[ChatRequest], wanted: int, bridge: _Bridge
) -> tuple[list[ChatRequest], Exception | None, bool]:
    """Up to `wanted` requests, fewer when a batch became ready meanwhile; the source's error; whether it ended."""
    found: list[ChatRequest] = []
    try:
        while len(found) < wanted:
            found.append(next(iterator))
            if bridge.batch_ready:
                break
    except StopIteration:
        return found, None, True
    except Exception as error:
        return found, error, True
    return found, None, False


class _Bridge:
    """Hands requests to the engine's thread and batches back. One condition guards everything in it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="l2a-llm", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._wanted: tuple[int, asyncio.Future[list[ChatRequest]]] | None = None
        self._batch: list[AnswerRow] | None = None
        self._taken: asyncio.Event | None = None
        self._source_ended = False
        self._source_error: Exception | None = None
        self._done = False
        self.error: BaseException | None = None

    @property
    def batch_ready(self) -> bool:
        """Whether a batch waits for the caller."""
        return self._batch is not None

    def start(self) -> None:
        """Starts the engine's thread."""
        self._thread.start()

    def next_thing(self) -> tuple[int, list[AnswerRow] | None]:
        """Waits for a batch, or the engine's wish for requests: (requests wanted, batch); (0, None) at the end."""
        with self._condition:
            self._condition.wait_for(lambda: self._batch is not None or self._wanted is not None or self._done)
            if self._batch is not None:
                batch, self._batch = self._batch, None
                self._call(self._batch_taken)
                return 0, batch
            if self._wanted is not None and not self._done:
                return self._wanted[0], None
            return 0, None

    def give(self, requests: list[ChatRequest], error: Exception | None, ended: bool) -> None:
        """Answers the engine's wish. The source's end, or its error, follows the last requests it gave."""
        with self._condition:
            self._source_ended, self._source_error = ended, error
            if self._wanted is not None:
                future, self._wanted = self._wanted[1], None
                self._call(self._fulfil, future, requests)

    def close(self) -> None:
        """Ends the engine's thread; calls in flight are given up."""
        with self._condition:
            if self._main is not None and not self._done:
                self._call(self._main.cancel)
        self._thread.join()

    def _call(self, function, *arguments) -> None:  # type: ignore[no-untyped-def]
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)

    # In the engine's thread:

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except asyncio.CancelledError:
            pass
        except BaseException as error:
            self.error = error
        finally:
            with self._condition:
                self._done = True
                self._condition.notify_all()

    async def _serve(self) -> None:
        with self._condition:
            self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
            self._taken = asyncio.Event()
        async with aclosing(self._engine.answers_pulled(self._pull)) as batches:
            async for batch in batches:
                self._taken.clear()
                with self._condition:
                    self._batch = batch
                    self._condition.notify_all()
                await self._taken.wait()

    async def _pull(self, most: int) -> list[ChatRequest]:
        if self._source_error is not None:
            raise self._source_error
        if self._source_ended:
            return []
        future: asyncio.Future[list[ChatRequest]] = asyncio.get_running_loop().create_future()
        with self._condition:
            self._wanted = (most, future)
            self._condition.notify_all()
        return await future

    def _fulfil(self, future: asyncio.Future[list[ChatRequest]], requests: list[ChatRequest]) -> None:
        if future.done():
            return
        if requests or self._source_error is None:
            future.set_result(requests)
        else:
            future.set_exception(self._source_error)

    def _batch_taken(self) -> None:
        if self._taken is not None:
            self._taken.set()
