"""Shows how far Spark is: tasks done of the stages that run, read from Spark's own status tracker."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from l2a.progress import bar

POLL_SECONDS = 0.5

Look = Callable[[], tuple[int, int | None, str]]
"""Done, total and what is being done."""
_looks: list[Look] = []


@contextlib.contextmanager
def showing(look: Look) -> Iterator[None]:
    """Inside `shown`: shows what `look` tells instead of Spark's tasks. It is asked every POLL_SECONDS."""
    _looks.append(look)
    try:
        yield
    finally:
        _looks.remove(look)


@contextlib.contextmanager
def shown(spark: SparkSession, name: str) -> Iterator[None]:
    """A progress bar for all that Spark does inside the block."""
    done = threading.Event()
    with bar(name) as line:

        def watch() -> None:
            tracker = spark.sparkContext.statusTracker()
            finished = 0
            while not done.wait(POLL_SECONDS):
                if _looks:
                    # What cannot be read just now is shown a moment later.
                    with contextlib.suppress(OSError):
                        line.update(*_looks[-1]())
                    continue
                # A stage may vanish between the two questions; an unknown one has nothing to show.
                infos = [info for stage in tracker.getActiveStageIds() if (info := tracker.getStageInfo(stage))]
                if infos:
                    finished = sum(info.numCompletedTasks for info in infos)
                    line.update(finished, sum(info.numTasks for info in infos), "Spark tasks")

        def watch_while_alive() -> None:
            # A Java process that is gone has nothing to show; whoever waits for it says so.
            with contextlib.suppress(OSError, Py4JError):
                watch()

        thread = threading.Thread(target=watch_while_alive, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
