"""Real dialogues through the steps on a real vLLM: every row has its outcome, and a second run asks nothing."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers import dicts, digest_of

from l2a.mapping import load
from l2a.settings import EvaluateSettings, IngestSettings, JudgeSettings
from l2a.tables.contracts import GRADES, LLM_CALLS, OBJECTIVES, ROLLOUTS, RUNS, TURNS
from l2a.tables.warehouse import Warehouse

if TYPE_CHECKING:
    from vllm_server import VllmServer

DIALOGUES = 50


@pytest.mark.timeout(1800)
def test_fifty_real_dialogues_are_asked_about_once(
    warehouse: Warehouse, vllm_server: VllmServer, real_logs: Path, tmp_path: Path
) -> None:
    from spark_jobs.extract import extract
    from spark_jobs.grade import grade
    from spark_jobs.ingest import ingest
    from spark_jobs.rollout import rollout
    from spark_jobs.slice import slice_dialogues

    log = tmp_path / "logs.jsonl"
    with (real_logs / "star" / "train.jsonl").open(encoding="utf-8") as lines:
        log.write_text("".join(islice(lines, DIALOGUES)), encoding="utf-8")
    judge = JudgeSettings(extractor="llm", grader="llm", extraction_max_tokens=256)
    llm = vllm_server.settings(max_in_flight=32)
    few = EvaluateSettings(samples=2, rollout_max_tokens=32)
    ingest(warehouse, [str(log)], load(None), IngestSettings(), given_split="eval")
    slice_dialogues(warehouse)

    def steps() -> None:
        extract(warehouse, judge, llm)
        rollout(warehouse, "base", few, llm)
        grade(warehouse, judge, llm)

    before = vllm_server.metrics()
    steps()
    asked = vllm_server.metrics()
    calls = dicts(warehouse, LLM_CALLS)
    assert {row["status"] for row in calls} == {"ok"}, {row["error"] for row in calls}
    assert {row["model_version"] for row in calls} == {vllm_server.model_version}
    for counter, column in (("prompt_tokens", "prompt_tokens"), ("generation_tokens", "completion_tokens")):
        assert sum(row[column] for row in calls) == asked[counter] - before[counter]
    assert sum(row["cached_tokens"] for row in calls) == asked["prefix_cache_hits"] - before["prefix_cache_hits"] > 0
    objectives, rollouts = dicts(warehouse, OBJECTIVES), dicts(warehouse, ROLLOUTS)
    assert {row["status"] for row in objectives} == {row["status"] for row in rollouts} == {"ok"}
    usable = [row for row in objectives if row["dropped_reason"] is None]
    turns = dicts(warehouse, TURNS)
    assert len({row["session_id"] for row in turns}) == DIALOGUES
    assert len(rollouts) == 2 * len(objectives) == 2 * sum(row["dropped_reason"] is None for row in turns)
    assert len(dicts(warehouse, GRADES)) == 2 * len(usable)
    assert sum(row["calls_paid"] for row in dicts(warehouse, RUNS)) == len(calls)

    tables = digest_of(warehouse)
    steps()
    assert vllm_server.metrics() == asked
    assert digest_of(warehouse) == tables
