"""LLM calls on a real cluster whose parts are killed: every call that was stored is paid once, and tables are whole."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, cluster, page
from command_line import SMALL, contents, environment, l2a, words

from l2a.llm.chaos.plan import ChaosSettings, Fault
from l2a.llm.chaos.running import RunningChaos, chaos_endpoint
from l2a.synth import LogSpec, write_log

pytestmark = [pytest.mark.timeout(3600)]

KEY = "sk-planted-in-the-environment-4711"
CALLS_PER_SECOND = 25
FLUSH_SECONDS = 1
IN_FLIGHT = 8
ALLOWED = IN_FLIGHT + CALLS_PER_SECOND * (FLUSH_SECONDS + 2)
"""Calls that one kill may make us pay for again: those in flight, and those answered within the last flush (and the
seconds that a busy machine takes to write it)."""

CHAOS = ChaosSettings(
    api_key=KEY,
    calls_per_second=CALLS_PER_SECOND,
    faults={Fault.RATE_LIMIT: 0.05, Fault.SERVER_ERROR: 0.05, Fault.DROP: 0.02},
)


class Job:
    """`l2a extract --extractor llm` on the cluster, on a fresh copy of a sliced warehouse."""

    def __init__(self, folder: Path, running: Cluster) -> None:
        self.folder, self.cluster, self.number = folder, running, 0
        self.sliced = folder / "sliced"
        log = folder / "logs.jsonl"
        write_log(LogSpec(dialogues=300, seed=5), log)
        l2a("ingest", log, "--warehouse", self.sliced)
        l2a("slice", "--warehouse", self.sliced)

    def fresh(self) -> Path:
        self.number += 1
        return Path(shutil.copytree(self.sliced, self.folder / f"warehouse-{self.number}"))

    def arguments(self, warehouse: Path, chaos: RunningChaos) -> list[str]:
        asked = ["--endpoint", chaos.url, "--model", "chaos", "--max-in-flight", str(IN_FLIGHT)]
        return ["extract", "--extractor", "llm", *asked, "--warehouse", str(warehouse)]

    def environment(self, **more: str) -> dict[str, str]:
        return {**self.cluster.environment, "L2A_API_KEY": KEY, "L2A_LLM__FLUSH_SECONDS": str(FLUSH_SECONDS), **more}

    def start(self, warehouse: Path, chaos: RunningChaos, **more: str) -> subprocess.Popen[bytes]:
        with (self.folder / "said.txt").open("wb") as said:
            return subprocess.Popen(
                words(*self.arguments(warehouse, chaos)),
                env=environment(**self.environment(**more)),
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def run(self, warehouse: Path, chaos: RunningChaos) -> subprocess.CompletedProcess[str]:
        return l2a(*self.arguments(warehouse, chaos), **self.environment())


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    folder = tmp_path_factory.mktemp("cluster")
    with cluster(folder, L2A_API_KEY=KEY) as running:
        yield Job(folder, running)


@pytest.fixture(scope="module")
def undisturbed(job: Job) -> dict[str, list[tuple[Any, ...]]]:
    warehouse = job.fresh()
    with chaos_endpoint(CHAOS) as chaos:
        job.run(warehouse, chaos)
        assert not chaos.server.record.summary()["served_twice"]
        job.run(warehouse, chaos)
        assert not chaos.server.record.summary()["served_twice"], "a finished job asks nothing again"
    return tables(warehouse)


def tables(warehouse: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All tables but `runs`: what a run paid depends on what the killed one had paid."""
    return {name: rows for name, rows in contents(warehouse).items() if name != "runs"}


def kill(job: Job, undisturbed: dict[str, list[tuple[Any, ...]]], victim: str, share: float) -> None:
    """Kills a part when a share of the calls is served, waits for the end, runs the step again, and compares."""
    warehouse = job.fresh()
    wanted = share * len(undisturbed["llm_calls"])
    with chaos_endpoint(CHAOS) as chaos:
        process = job.start(warehouse, chaos)
        try:
            while process.poll() is None and chaos.server.record.served.total() < wanted:
                time.sleep(0.05)
            assert process.poll() is None, (job.folder / "said.txt").read_text()
            strike(job, process, victim)
            process.wait(timeout=600)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        if process.returncode != 0:
            job.run(warehouse, chaos)
        again = Counter(chaos.server.record.served) - Counter(set(chaos.server.record.served))
        assert again.total() <= ALLOWED, f"{victim} at {share}: {again.total()} calls were paid again"
        assert tables(warehouse) == undisturbed


def strike(job: Job, process: subprocess.Popen[bytes], victim: str) -> None:
    if victim == "driver":
        os.killpg(process.pid, signal.SIGKILL)
        return
    found = job.cluster.executors() if victim == "executor" else job.cluster.python_workers()
    assert found, f"there is no {victim}"
    os.kill(random.Random(victim).choice(found), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victim", "share"),
    [
        ("executor", 0.3),
        pytest.param("driver", 0.5, marks=pytest.mark.prove),
        pytest.param("Python worker", 0.6, marks=pytest.mark.prove),
    ],
)
def test_a_killed_part_costs_no_stored_call(
    job: Job, undisturbed: dict[str, list[tuple[Any, ...]]], victim: str, share: float
) -> None:
    kill(job, undisturbed, victim, share)


@pytest.mark.prove
@pytest.mark.timeout(7200)
def test_twenty_kills(job: Job, undisturbed: dict[str, list[tuple[Any, ...]]]) -> None:
    draw = random.Random(20)
    for number in range(20):
        kill(job, undisturbed, ("driver", "executor", "Python worker")[number % 3], draw.uniform(0.05, 0.95))


@pytest.mark.slow
def test_the_key_is_nowhere(job: Job, undisturbed: dict[str, list[tuple[Any, ...]]]) -> None:
    warehouse = job.fresh()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    shown = {"spark.ui.enabled": "true", "spark.ui.port": str(port)}
    conf = json.loads(job.cluster.environment["L2A_SPARK__CONF"]) | shown
    log = job.folder / "driver.log"
    with chaos_endpoint(CHAOS) as chaos:
        process = job.start(warehouse, chaos, L2A_SPARK__CONF=json.dumps(conf), L2A_SPARK__LOG=str(log))
        while process.poll() is None and chaos.server.record.served.total() < 20:
            time.sleep(0.05)
        application = json.loads(page(f"{job.cluster.ui}/json/"))["activeapps"][0]["id"]
        ui = f"http://127.0.0.1:{port}"
        pages = [page(f"{ui}{path}") for path in ("/environment/", "/executors/", "/jobs/", "/stages/", "/SQL/")]
        pages += [page(f"{ui}/api/v1/applications/{application}/{what}") for what in ("environment", "executors")]
        assert process.wait(timeout=600) == 0
        # An answer that quotes the key, and a wrong key whose refusal does, come to the same tables and logs.
        wrong = job.environment(L2A_API_KEY=KEY + "-wrong", **{name: SMALL[name] for name in SMALL if "SPARK" in name})
        failing = l2a(*job.arguments(job.fresh(), chaos), expected=1, **wrong)
    assert "environment" in pages[0].lower()
    said = "\n".join([*pages, failing.stdout, failing.stderr, (job.folder / "said.txt").read_text()])
    assert KEY not in said
    for path in job.folder.rglob("*"):
        if path.is_file() and not path.name.endswith((".jar", ".crc")):
            assert KEY.encode() not in path.read_bytes(), path
    for name, rows in contents(warehouse).items():
        assert KEY not in repr(rows), name
