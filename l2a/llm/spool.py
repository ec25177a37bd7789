"""Where finished answers lie between a task that asked and the table `llm_calls`.

    <warehouse>/_spool/llm_calls/<run>/task-<task>/part-<attempt>-<number>.parquet    rows that are finished
                                       told-<task>-<attempt>.json                     how far a task is
                                       driver.json                                    that the driver is at work
                                       stopped.json                                   why the whole job stops

A table takes no commit every few seconds from every task; a folder takes files. Each file is written whole or not at
all: on a local disk under another name first, with its bytes and its name forced to the disk; on an object store by
one put, which is atomic there, while a rename is not. A task that is tried again finds what its earlier attempts have
finished, and so does the next run.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from l2a.llm.answer import AnswerRow
from l2a.llm.progress import Progress
from l2a.places import folder_or_url

FOLDER = "_spool/llm_calls"
_STOPPED = "stopped.json"
MANY_FILES = 32
"""Of a task that has written so many, one is made."""
MANY_BYTES = 2**26
"""Rows of more than this are left in files of their own."""
_TYPES = {"int": pa.int64(), "int | None": pa.int64(), "datetime": pa.timestamp("us", "UTC")}
ROWS = pa.schema(
    [("run", pa.string()), *((field.name, _TYPES.get(str(field.type), pa.string())) for field in fields(AnswerRow))]
)
"""A row of the spool: the run that asked, and the answer."""


class Files(Protocol):
    """The few things that the spool asks of a storage. Names are relative, a missing folder is an empty one."""

    def put(self, name: str, content: bytes) -> None:
        """Writes a file, whole or not at all."""

    def get(self, name: str) -> bytes:
        """Raises FileNotFoundError."""

    def names(self, folder: str) -> list[str]:
        """Names of the files and folders in a folder, sorted."""

    def newest(self, folder: str) -> float:
        """When a file in a folder was last written, seconds since 1970; 0 where there is none."""

    def remove(self, folder: str) -> None:
        """Removes a folder and what is in it."""

    def remove_file(self, name: str) -> None:
        """Removes a file."""


class Spool:
    """The finished answers of one run."""

    def __init__(self, warehouse: str, run: str) -> None:
        self.run = run
        self._files = open_files(warehouse)
        self._written = 0
        self._small: dict[str, pa.Table] = {}

    def store(self, task: int, attempt: int, rows: Iterable[AnswerRow]) -> None:
        """Stores rows for good, before it returns. One task and attempt to a spool.

        A job of hours writes a small file every few seconds: now and then they become one, which the merge into the
        table, and an attempt that comes later, read much faster. Killed in between, some rows lie there twice.
        """
        table = pa.Table.from_pylist([{"run": self.run, **asdict(row)} for row in rows], schema=ROWS)
        self._small[self._put(task, attempt, table)] = table
        if len(self._small) >= MANY_FILES:
            self._put(task, attempt, pa.concat_tables(self._small.values()))
            for name in self._small:
                self._files.remove_file(name)
        if len(self._small) >= MANY_FILES or sum(one.nbytes for one in self._small.values()) > MANY_BYTES:
            self._small.clear()

    def _put(self, task: int, attempt: int, table: pa.Table) -> str:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        name = f"{_folder(self.run, task)}/part-{attempt:05}-{self._written:06}.parquet"
        self._files.put(name, sink.getvalue().to_pybytes())
        self._written += 1
        return name

    def finished(self, task: int, attempt: int, known: set[str]) -> set[str]:
        """Addresses of the requests that other attempts of this task have stored, in files that are not in `known`.

        The files' names are added to `known`, so that asking again reads new files only.
        """
        found: set[str] = set()
        folder = _folder(self.run, task)
        for name in self._files.names(folder):
            if not name.startswith(f"part-{attempt:05}-") and name not in known:
                try:
                    content = pa.BufferReader(self._files.get(f"{folder}/{name}"))
                except FileNotFoundError:  # made one with others meanwhile, under a name that is listed now
                    return found | self.finished(task, attempt, known)
                found.update(pq.read_table(content, columns=["request_id"]).column(0).to_pylist())
                known.add(name)
        return found

    def stop(self, error: Exception) -> None:
        """Tells all tasks of the run to stop, and why. The first one to say so is heard."""
        if self.stopped() is None:
            said = {"class": type(error).__name__, "message": str(error)}
            self._files.put(f"{self.run}/{_STOPPED}", json.dumps(said).encode())

    def stopped(self) -> tuple[str, str] | None:
        """Class and message of the error that stops the run; None: nothing does."""
        try:
            said = json.loads(self._files.get(f"{self.run}/{_STOPPED}"))
        except FileNotFoundError:
            return None
        return said["class"], said["message"]

    def tell(self, task: int, attempt: int, progress: Progress) -> None:
        """Leaves a task's counters for the driver and the other tasks, with the time, so that each is news."""
        content = json.dumps(progress.as_dict() | {"told_at": time.time()}).encode()
        self._files.put(f"{self.run}/told-{task:05}-{attempt:05}.json", content)

    def tell_alive(self) -> None:
        """Keeps the run young while its driver waits for tasks."""
        self._files.put(f"{self.run}/driver.json", b"{}")

    def told(self) -> Progress:
        """The counters of all tasks and attempts together: what an attempt stored, the next one does not ask again."""
        names = [name for name in self._files.names(self.run) if name.startswith("told-")]
        counters = (Progress.from_dict(json.loads(self._files.get(f"{self.run}/{name}"))) for name in names)
        return sum(counters, Progress())

    def others_told(self, task: int, attempt: int) -> dict[str, bytes]:
        """What other attempts at a task told last, by name: one that is at work tells something new every second."""
        start, mine = f"told-{task:05}-", f"told-{task:05}-{attempt:05}.json"
        names = [name for name in self._files.names(self.run) if name.startswith(start) and name != mine]
        return {name: self._files.get(f"{self.run}/{name}") for name in names}


def runs(warehouse: str) -> dict[str, float]:
    """Runs with something in the spool, and the seconds since each last wrote."""
    files = open_files(warehouse)
    return {run: time.time() - files.newest(run) for run in files.names("")}


def has_rows(warehouse: str, run: str) -> bool:
    """Whether a run has stored anything."""
    files = open_files(warehouse)
    return any(files.names(f"{run}/{name}") for name in files.names(run) if name.startswith("task-"))


def remove(warehouse: str, run: str) -> None:
    """Removes a run from the spool, once its rows are in the table."""
    open_files(warehouse).remove(run)


def _folder(run: str, task: int) -> str:
    return f"{run}/task-{task:05}"


def open_files(warehouse: str) -> Files:
    """The spool's folder of a warehouse: a local path, or any URL that delta-rs has an object store for."""
    place = folder_or_url(warehouse)
    return _Remote(f"{place}/{FOLDER}") if "://" in place else _Local(Path(place) / FOLDER)


class _Local:
    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, content: bytes) -> None:
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Spark passes over names that begin with a dot.
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def get(self, name: str) -> bytes:
        return (self._root / name).read_bytes()

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self._root / folder) if not name.startswith("."))
        except FileNotFoundError:
            return []

    def newest(self, folder: str) -> float:
        times = []
        for name in self.names(folder):
            try:
                times.append((self._root / folder / name).stat().st_mtime)
            except FileNotFoundError:
                continue
        return max(times, default=0.0)

    def remove(self, folder: str) -> None:
        shutil.rmtree(self._root / folder, ignore_errors=True)

    def remove_file(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)


class _Remote:
    def __init__(self, url: str) -> None:
        from deltalake._internal import DeltaFileSystemHandler

        # delta-rs's own handler: behind pyarrow's file objects, its streams refuse pyarrow's buffers.
        self._files: Any = DeltaFileSystemHandler(url)

    def put(self, name: str, content: bytes) -> None:
        file = self._files.open_output_stream(name)
        file.write(content)
        file.close()

    def get(self, name: str) -> bytes:
        file = self._files.open_input_file(name)
        try:
            return bytes(file.read())
        finally:
            file.close()

    def names(self, folder: str) -> list[str]:
        return sorted(entry.base_name for entry in self._entries(folder))

    def newest(self, folder: str) -> float:
        return max((entry.mtime_ns / 1e9 for entry in self._entries(folder) if entry.mtime_ns), default=0.0)

    def remove(self, folder: str) -> None:
        self._files.delete_dir(folder)

    def remove_file(self, name: str) -> None:
        self._files.delete_file(name)

    def _entries(self, folder: str) -> list[Any]:
        return list(self._files.get_file_info_selector(folder, True, False))
