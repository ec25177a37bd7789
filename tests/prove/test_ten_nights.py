"""Ten nights with everything that goes wrong at night end in the tables that one pass over all of it makes.

The same steps that the nights' DAG runs, without its scheduler. The judge is an LLM (the chaos endpoint), so its
version is pinned, and every call can be counted.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers import dicts, open_warehouse, rows

from l2a.errors import L2AError
from l2a.llm.chaos.plan import Mode
from l2a.llm.chaos.running import RunningChaos, chaos_endpoint
from l2a.mapping import load
from l2a.nightly.checks import check_night, check_warehouse
from l2a.settings import IngestSettings, JudgeSettings, NightlySettings
from l2a.settings.llm import LLMSettings
from l2a.synth import LogSpec
from l2a.synth.nights import write_nights
from l2a.tables.contracts import DIALOGUES, LLM_CALLS, OBJECTIVES, QUARANTINE, RUNS, TURNS
from l2a.tables.warehouse import Warehouse
from spark_jobs.extract import extract
from spark_jobs.ingest import ingest
from spark_jobs.slice import slice_dialogues

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.prove, pytest.mark.timeout(3600)]

NIGHTS = 10
DIALOGUES_A_NIGHT = 12
DOWN, TWICE, BROKEN = 3, 5, 7
JUDGE = JudgeSettings(extractor="llm")


@pytest.fixture
def chaos() -> Iterator[RunningChaos]:
    with chaos_endpoint() as running:
        yield running


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    """Nights with corrections, late versions and repeats; one whose files lie there twice, one that is 40 % broken."""
    folder = tmp_path / "landing"
    repeats = {"correction_share": 0.1, "late_share": 0.1, "duplicate_share": 0.05}
    write_nights(LogSpec(dialogues=DIALOGUES_A_NIGHT, seed=5, bad_share=0.02, **repeats), folder, NIGHTS)
    nights = sorted(folder.iterdir())
    shutil.copy(nights[TWICE] / "part-0.jsonl", nights[TWICE] / "part-0-again.jsonl")
    log = nights[BROKEN] / "part-0.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines, *(line[: len(line) // 2] + b"\n" for line in lines[: len(lines) * 2 // 3])]))
    return folder


def asked(chaos: RunningChaos) -> LLMSettings:
    return LLMSettings(
        endpoints=(chaos.url,), model="chaos", model_version="1", backoff_seconds=0.05, backoff_max_seconds=0.2,
        endpoint_wait_seconds=2, probe_seconds=0.1, probe_max_seconds=0.5, max_attempts=4,
    )  # fmt: skip


def take(warehouse: Warehouse, landing: Path, night: str | None, llm: LLMSettings) -> None:
    """What the DAG does with a night; None: all of them in one pass."""
    ingest(warehouse, [str(landing)], load(None), IngestSettings(), date=night)
    slice_dialogues(warehouse)
    extract(warehouse, JUDGE, llm)


def paid(warehouse: Warehouse) -> int:
    return sum(row["calls_paid"] for row in warehouse.read_or_empty(RUNS).select("calls_paid").collect())


def test_ten_nights_and_a_backfill_of_all_make_the_tables_of_one_pass(
    spark: SparkSession, tmp_path: Path, landing: Path, chaos: RunningChaos
) -> None:
    nightly, at_once = open_warehouse(spark, tmp_path / "nightly"), open_warehouse(spark, tmp_path / "at-once")
    nights = [path.name.removeprefix("dt=") for path in sorted(landing.iterdir())]
    llm, limits = asked(chaos), NightlySettings(landing=str(landing))
    red = []
    for number, night in enumerate(nights):
        if number == DOWN:
            chaos.switch(Mode.DOWN)
            with pytest.raises(L2AError):
                take(nightly, landing, night, llm)
            chaos.switch(Mode.NORMAL)
        before = paid(nightly), chaos.server.record.served.total()
        take(nightly, landing, night, llm)
        new = paid(nightly) - before[0]
        assert new == chaos.server.record.served.total() - before[1], "each call is paid once, and is a row"
        red += [night for found in check_night(nightly.root, night, limits) if not found.ok]
    assert red == [nights[BROKEN]], "only the night of broken lines is red"
    assert [found for found in check_warehouse(nightly.root) if not found.ok] == []

    served = chaos.server.record.served.total()
    versions = {contract.name: nightly.version(contract) for contract in (DIALOGUES, TURNS, OBJECTIVES)}
    for night in reversed(nights):
        take(nightly, landing, night, llm)
    assert chaos.server.record.served.total() == served, "a backfill pays nothing again"
    assert versions == {contract.name: nightly.version(contract) for contract in (DIALOGUES, TURNS, OBJECTIVES)}

    take(at_once, landing, None, llm)
    for contract in (DIALOGUES, TURNS, OBJECTIVES, QUARANTINE):
        assert rows(nightly, contract) == rows(at_once, contract), contract.name
    # The nights also asked about versions of dialogues that later nights replaced.
    calls = {row["request_id"]: row["text"] for row in dicts(nightly, LLM_CALLS)}
    for row in dicts(at_once, LLM_CALLS):
        assert calls[row["request_id"]] == row["text"]
    assert len(calls) == served
