"""A real Spark cluster on this machine: a standalone master and two workers of one core, as processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark
from command_line import SMALL, environment
from small_spark import JVM

START_SECONDS = 120


@dataclass(frozen=True)
class Cluster:
    """A running cluster. `environment` is what `l2a` needs to run its jobs there."""

    master: str
    ui: str
    environment: dict[str, str]

    def executors(self) -> list[int]:
        """Process ids of the executors."""
        return processes("CoarseGrainedExecutorBackend")

    def python_workers(self) -> list[int]:
        """Process ids of the Python workers of the executors (the daemons and their children)."""
        return processes("pyspark.daemon")


def processes(word: str) -> list[int]:
    """Process ids of this user's processes with a word in their command."""
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    found = (line.strip().partition(" ") for line in listed.splitlines())
    return [int(pid) for pid, _, command in found if word in command and "ps -A" not in command]


@contextmanager
def cluster(folder: Path, **secrets: str) -> Iterator[Cluster]:
    """Starts master and workers, and ends them and their executors. `secrets` are in the workers' environment only."""
    home = os.path.dirname(pyspark.__file__)
    given = environment(
        SPARK_HOME=home, SPARK_NO_DAEMONIZE="1", PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1", **secrets
    )
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> Path:
        log = folder / f"{name}.log"
        command = [f"{home}/bin/spark-class", f"org.apache.spark.deploy.{arguments[0]}", *arguments[1:]]
        with log.open("wb") as out:
            started.append(subprocess.Popen(command, env=given, stdout=out, stderr=out, start_new_session=True))
        return log

    try:
        log = start("master", "master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        master = _said(log, r"Starting Spark master at (spark://\S+)")
        port = _said(log, r"MasterWebUI.* at http://\S+:(\d+)")
        for number in (1, 2):
            work = folder / f"work-{number}"
            sizes = ("--cores", "1", "--memory", "1g", "--work-dir", str(work), "--webui-port", "0")
            log = start(f"worker-{number}", "worker.Worker", *sizes, master)
            _said(log, r"(Successfully registered with master)")
        conf = json.loads(SMALL["L2A_SPARK__CONF"]) | {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.executor.memory": "700m",
            "spark.executor.extraJavaOptions": JVM["spark.driver.extraJavaOptions"],
            "spark.executor.cores": "1",
            # A killed executor is replaced, and its tasks are tried again.
            "spark.task.maxFailures": "8",
        }
        settings = {"MASTER": master, "CONF": json.dumps(conf), "SHUFFLE_PARTITIONS": "2"}
        where = {f"L2A_SPARK__{name}": value for name, value in settings.items()}
        yield Cluster(master, f"http://127.0.0.1:{port}", where)
    finally:
        for process in reversed(started):
            os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            process.wait(timeout=60)
        for pid in processes("CoarseGrainedExecutorBackend"):
            os.kill(pid, signal.SIGKILL)


def _said(log: Path, pattern: str) -> str:
    """Waits until a process has written what matches; the first group."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text(errors="replace")):
            return found.group(1)
        time.sleep(0.2)
    raise AssertionError(f"{log} says nothing like {pattern}:\n{log.read_text(errors='replace')}")


def page(url: str) -> str:
    """The text behind a URL."""
    with urllib.request.urlopen(url, timeout=20) as response:
        return str(response.read().decode("utf-8", "replace"))
