"""What a benchmark takes: seconds, and memory of this process, its JVM and its Python workers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Memory:
    """Looks at this process and its children a few times a second."""

    def __init__(self) -> None:
        self.driver = self.worker = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        me = os.getpid()
        while not self._ended.wait(0.3):
            driver = 0
            for pid, parent, name, size in _processes():
                if pid == me or (parent == me and name == "java"):
                    driver += size
                elif name.startswith("python") and parent != me and _below(pid, me):
                    self.worker = max(self.worker, size)
            self.driver = max(self.driver, driver)


def _processes() -> Iterator[tuple[int, int, str, int]]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/status", encoding="utf-8") as status:
                    fields = dict(line.split(":", 1) for line in status if ":" in line)
            except OSError:
                continue
            if "VmRSS" in fields:
                yield int(entry), int(fields["PPid"]), fields["Name"].strip(), int(fields["VmRSS"].split()[0]) >> 10


def _below(pid: int, top: int) -> bool:
    while pid > 1:
        if pid == top:
            return True
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                pid = int(stat.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            return False
    return False


@contextmanager
def timed(name: str) -> Iterator[list[float]]:
    """Prints seconds; the list gets them."""
    took: list[float] = []
    started = time.perf_counter()
    yield took
    took.append(time.perf_counter() - started)
    print(f"  {name:44} {took[0]:8.1f} s", flush=True)
