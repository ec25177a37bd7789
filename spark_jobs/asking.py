"""What a Spark task does with its requests: asks them, and stores every answer in the spool."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

import pyarrow as pa
from pyspark import TaskContext

from l2a.llm.engine import Engine
from l2a.llm.errors import JobStopped, SpendingLimitReached, StoppedByCaller
from l2a.llm.request import ChatRequest
from l2a.llm.spool import Spool
from l2a.llm.sync import answer_batches
from l2a.settings.llm import LLMSettings

Batches = Iterator[pa.RecordBatch]
WATCH_SECONDS = 1.0
SILENT_SECONDS = 5.0
"""An attempt that told nothing for so long is dead."""
log = logging.getLogger(__name__)


def asker(warehouse: str, run: str, settings: LLMSettings, tasks: int) -> Callable[[Batches], Batches]:
    """The function that asks a partition's requests (columns request_id, request); gives the number stored.

    An error that stops the job is left in the spool for the driver and the other tasks, so that Spark does not try the
    task again.
    """

    def ask(batches: Batches) -> Batches:
        context = TaskContext.get()
        assert context is not None, "runs in a Spark task"
        task, attempt = context.partitionId(), context.taskAttemptId()
        place = Spool(warehouse, run)
        _wait_for_others(place, task, attempt)
        stored = 0
        engine = Engine(settings, tasks=tasks, number=task)
        with _Watch(place, task, attempt, engine) as watch:
            try:
                for rows in answer_batches(_requests(batches, watch), settings, engine=engine):
                    place.store(task, attempt, rows)
                    stored += len(rows)
            except StoppedByCaller:
                pass
            except JobStopped as error:
                place.stop(error)
        yield pa.RecordBatch.from_pydict({"stored": pa.array([stored], pa.int64())})

    return ask


def _wait_for_others(place: Spool, task: int, attempt: int) -> None:
    """Waits while another attempt at the task is at work (a speculative copy is one of two): it would be paid twice.

    Once the other is done, Spark ends this one; once it is dead, this one goes on from what it stored.
    """
    told = place.others_told(task, attempt)
    while told:
        time.sleep(SILENT_SECONDS)
        before, told = told, place.others_told(task, attempt)
        if told == before:
            return


def _requests(batches: Batches, watch: _Watch) -> Iterator[ChatRequest]:
    """The partition's requests, without those that another attempt at it has stored."""
    for batch in batches:
        for address, line in zip(batch.column("request_id"), batch.column("request"), strict=True):
            if address.as_py() not in watch.finished:
                yield ChatRequest.from_json(line.as_py())


class _Watch:
    """Looks into the spool and writes to it beside the calls: what others finished and spent, whether to stop."""

    def __init__(self, place: Spool, task: int, attempt: int, engine: Engine) -> None:
        self.finished: set[str] = set()
        self._engine = engine
        self._place = place
        self._task, self._attempt = task, attempt
        self._files: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="l2a-spool", daemon=True)

    def __enter__(self) -> _Watch:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._place.tell(self._task, self._attempt, self._engine.progress)

    def _run(self) -> None:
        while not self._ended.wait(WATCH_SECONDS):
            try:
                self._look()
                self._place.tell(self._task, self._attempt, self._engine.progress)
            except OSError as error:  # storage that says no once must not end the watch
                log.warning("the spool cannot be reached just now: %s", type(error).__name__)

    def _look(self) -> None:
        self.finished |= self._place.finished(self._task, self._attempt, self._files)
        if (why := self._place.stopped()) is not None:
            # Where the limit is reached, what is in flight is paid for, in each task.
            kind = SpendingLimitReached if why[0] == SpendingLimitReached.__name__ else StoppedByCaller
            self._engine.stop_soon(kind(f"another task stopped the job: {why[1]}"))
        if self._engine.settings.spending_limit is not None:
            self._engine.spent_elsewhere = max(0.0, self._place.told().cost - self._engine.progress.cost)
