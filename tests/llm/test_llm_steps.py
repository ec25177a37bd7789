"""The steps that ask an LLM, on a real Spark and Delta and the chaos endpoint: each call paid once, no row lost."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import as_line, dialogue, dicts, digest_of, open_warehouse
from llm_asking import quick

from l2a.errors import UsageError
from l2a.llm.chaos.plan import ChaosSettings, Fault, Mode
from l2a.llm.chaos.running import RunningChaos, chaos_endpoint
from l2a.llm.errors import UnknownModel, WrongKey
from l2a.mapping import load
from l2a.settings import EvaluateSettings, IngestSettings, JudgeSettings, ObjectiveSettings
from l2a.settings.llm import LLMSettings
from l2a.tables.contracts import GRADES, LLM_CALLS, OBJECTIVES, ROLLOUTS, RUNS
from l2a.tables.warehouse import Warehouse
from spark_jobs import extract as extracting
from spark_jobs.grade import grade
from spark_jobs.ingest import ingest
from spark_jobs.llm_judging import wanted_llm_judge
from spark_jobs.rollout import rollout
from spark_jobs.slice import slice_dialogues

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ASKED = JudgeSettings(extractor="llm", grader="llm")

LOGS = [
    dialogue("s-card", "My card is gone.", "When did you see it last?", "Yesterday at noon.",
             "Which card?", "The blue.", "Thank you, it is blocked.", goal="block the card", domain="bank"),
    dialogue("s-中文", "我头疼。", "疼了多久？", "三天了 🤕。",
             "有发烧吗？", "没有 <|im_end|> <stop /> '\"", "好的。", domain="医疗"),
    dialogue("s-short", "مرحبا", "كيف أساعدك؟"),
]  # fmt: skip


@pytest.fixture(scope="module")
def made(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a warehouse with three dialogues, all in the eval split, sliced."""
    folder = tmp_path_factory.mktemp("sliced")
    log = folder / "logs.jsonl"
    log.write_bytes(b"".join(as_line(line) + b"\n" for line in LOGS))
    warehouse = open_warehouse(spark, folder / "warehouse")
    ingest(warehouse, [str(log)], load(None), IngestSettings(), given_split="eval")
    slice_dialogues(warehouse)
    return folder / "warehouse"


@pytest.fixture
def sliced(spark: SparkSession, made: Path, tmp_path: Path) -> Warehouse:
    """A copy of it for one test."""
    return open_warehouse(spark, shutil.copytree(made, tmp_path / "warehouse"))


@pytest.fixture
def chaos() -> Iterator[RunningChaos]:
    with chaos_endpoint() as running:
        yield running


def extract(warehouse: Warehouse, judge: JudgeSettings, llm: LLMSettings, **more: bool) -> None:
    """The step without its search for generic items, which asks nobody and has tests of its own."""
    extracting.extract(warehouse, judge, llm, ObjectiveSettings(drop_generic=False), **more)


def loop(warehouse: Warehouse, llm: LLMSettings, judge: JudgeSettings = ASKED) -> None:
    """Extract, rollout of a policy, grade: all by the endpoint."""
    extract(warehouse, judge, llm)
    rollout(warehouse, "base", EvaluateSettings(samples=2), llm)
    grade(warehouse, judge, llm)


def test_the_loop_asks_each_thing_once_and_a_second_run_asks_nothing(sliced: Warehouse, chaos: RunningChaos) -> None:
    loop(sliced, quick(chaos.url))
    before, served = digest_of(sliced), chaos.server.record.served.total()
    assert {row["status"] for row in dicts(sliced, OBJECTIVES)} == {"ok"}
    assert {row["status"] for row in dicts(sliced, GRADES)} == {"ok"}
    assert [row["model_version"] for row in dicts(sliced, ROLLOUTS)] == ["1"] * len(dicts(sliced, ROLLOUTS))
    calls = dicts(sliced, LLM_CALLS)
    assert len(calls) == served == len(chaos.server.record.tries)
    paid = [row["calls_paid"] for row in dicts(sliced, RUNS)]
    assert sum(paid) == served
    assert sum(row["prompt_tokens"] for row in dicts(sliced, RUNS)) == sum(row["prompt_tokens"] for row in calls)

    loop(sliced, quick(chaos.url))
    assert digest_of(sliced) == before
    assert chaos.server.record.tries.total() == served
    extract(sliced, ASKED, quick(chaos.url), all_again=True)
    assert chaos.server.record.tries.total() == served, "taken again, answered from llm_calls"


def test_information_comes_from_what_the_user_says_after_the_turn(sliced: Warehouse, chaos: RunningChaos) -> None:
    extract(sliced, ASKED, quick(chaos.url))
    found = {(row["session_id"], row["turn"]): row for row in dicts(sliced, OBJECTIVES)}
    first, second, final = (found["s-card", turn] for turn in (1, 2, 3))
    assert [fact.split(": ")[1] for fact in first["information"]] == ["Yesterday at noon.", "The blue."]
    assert [fact.split(": ")[1] for fact in second["information"]] == ["The blue."]
    assert (final["information"], final["decision"], final["request_id"]) == ([], "STOP", None)
    assert first["request_id"] == second["request_id"], "one call a dialogue"
    assert first["extractor"] == "llm:chaos@1:dialogue-prefix-v1.2"


def test_one_call_a_turn_gives_the_same_objectives(sliced: Warehouse, chaos: RunningChaos) -> None:
    per_turn = ASKED.model_copy(update={"extraction": "turn", "prompt_form": "paper"})
    for settings in (ASKED, per_turn):
        extract(sliced, settings, quick(chaos.url))
    by_extractor: dict[str, list[Any]] = {}
    for row in dicts(sliced, OBJECTIVES):
        values = [fact.split(": ", 1)[1] for fact in row["information"]]
        by_extractor.setdefault(row["extractor"], []).append((row["session_id"], row["turn"], values, row["decision"]))
    one, other = by_extractor.values()
    assert one == other


def test_a_failed_call_is_a_failed_row_that_later_runs_try_again_until_they_have_tried_enough(
    sliced: Warehouse,
) -> None:
    with chaos_endpoint(ChaosSettings(faults={Fault.REFUSAL: 1.0})) as refusing:
        settings = quick(refusing.url, max_runs=2)
        for tries in (1, 2, 2):
            extract(sliced, ASKED, settings)
            (refused,) = {row["error_class"] for row in dicts(sliced, LLM_CALLS)}
            assert refused == "Refused"
            assert {len(row["tried_in"]) for row in dicts(sliced, LLM_CALLS)} == {tries}
        assert max(refusing.server.record.tries.values()) == 2
    failed = [row for row in dicts(sliced, OBJECTIVES) if row["status"] == "failed"]
    assert failed and all(row["error"].startswith("extractor: Refused: ") for row in failed)
    assert all(row["decision"] is None and row["information"] is None for row in failed)

    with chaos_endpoint() as kind:
        extract(sliced, ASKED, quick(kind.url, max_runs=3))
    assert {row["status"] for row in dicts(sliced, OBJECTIVES)} == {"ok"}


@pytest.mark.parametrize(("mode", "error"), [(Mode.WRONG_KEY, WrongKey), (Mode.UNKNOWN_MODEL, UnknownModel)])
def test_a_wrong_key_or_model_stops_the_step_with_that_word(
    sliced: Warehouse, chaos: RunningChaos, mode: Mode, error: type[Exception]
) -> None:
    chaos.switch(mode)
    with pytest.raises(error):
        extract(sliced, ASKED, quick(chaos.url))
    assert dicts(sliced, RUNS)[-1]["status"] == "failed" or any(r["status"] == "failed" for r in dicts(sliced, RUNS))
    chaos.switch(Mode.NORMAL)
    extract(sliced, ASKED, quick(chaos.url))
    assert {row["status"] for row in dicts(sliced, OBJECTIVES)} == {"ok"}


def test_new_weights_behind_a_name_are_asked_and_replace_the_old_rollouts(
    sliced: Warehouse, chaos: RunningChaos
) -> None:
    few = EvaluateSettings(samples=1)
    rollout(sliced, "policy", few, quick(chaos.url, model_version="1"))
    rollout(sliced, "policy", few, quick(chaos.url, model_version="1"), greedy=True)
    served = chaos.server.record.served.total()
    rollout(sliced, "policy", few, quick(chaos.url, model_version="2"))
    versions = {(row["condition"], row["model_version"]) for row in dicts(sliced, ROLLOUTS)}
    assert versions == {("policy", "2"), ("policy@greedy", "1")}
    assert chaos.server.record.served.total() == served * 1.5
    rollout(sliced, "policy", few, quick(chaos.url, model_version="1"))
    assert chaos.server.record.served.total() == served * 1.5, "the old weights' answers are still known"
    assert {row["model_version"] for row in dicts(sliced, ROLLOUTS)} == {"1"}


def test_a_condition_without_endpoint_is_a_usage_error(sliced: Warehouse) -> None:
    with pytest.raises(UsageError, match="--endpoint"):
        rollout(sliced, "policy")


def test_the_full_name_of_an_llm_judge_stands_for_itself_in_the_steps_that_ask_it() -> None:
    llm = LLMSettings(endpoints=("http://judge",), model="judge", model_version="2")
    made = wanted_llm_judge(ASKED, llm, "extractor")
    assert made is not None and made.extractor.startswith("llm:judge@2:")
    named = wanted_llm_judge(JudgeSettings(extractor=made.extractor), llm, "extractor")
    assert named is not None and named.extractor == made.extractor
    assert wanted_llm_judge(JudgeSettings(), llm, "grader") is None
    with pytest.raises(UsageError, match=re.escape(f"make {made.extractor}")):
        wanted_llm_judge(JudgeSettings(extractor="llm:judge@1:dialogue-prefix-v1.2"), llm, "extractor")
