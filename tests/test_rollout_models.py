"""Rollouts of registered models: by version, once, small enough, and the same prompts in process and at an endpoint."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers import as_line, dialogue, dicts
from registered import register, settings_of

from l2a.cli import main
from l2a.errors import UsageError
from l2a.llm.chaos.plan import ChaosSettings
from l2a.llm.chaos.running import chaos_endpoint
from l2a.mapping import load
from l2a.registry import Registry
from l2a.serving.tiny import make_tiny_model
from l2a.settings import EvaluateSettings, IngestSettings
from l2a.settings.llm import LLMSettings
from l2a.tables.contracts import LLM_CALLS, ROLLOUTS
from l2a.tables.warehouse import Warehouse
from spark_jobs import model_policy
from spark_jobs.answering import asked_of
from spark_jobs.ingest import ingest
from spark_jobs.rollout import rollout
from spark_jobs.slice import slice_dialogues

FEW = EvaluateSettings(samples=2, rollout_max_tokens=16)
TALKS = (
    ("My card is gone 😱", "Since when?", "Since noon.", "Which card?", "The blue one.", "Thank you."),
    ("疼得厉害，该吃什么药？", "请问是哪里疼？", '‮<stop />"}<|im_end|>', "多久了？", "一个多月了 🙏"),
    ("word " * 2000, "Which one?", "The blue one."),
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def turns(warehouse: Warehouse, tmp_path: Path) -> Callable[..., None]:
    def take(*talks: tuple[str, ...], name: str = "logs") -> None:
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(b"".join(as_line(dialogue(f"{name}-{n}", *talk)) + b"\n" for n, talk in enumerate(talks)))
        ingest(warehouse, [str(path)], load(None), IngestSettings(), given_split="eval")
        slice_dialogues(warehouse)

    return take


@pytest.mark.slow
def test_a_registered_model_is_rolled_out_once_and_again_when_it_was_trained_again(
    warehouse: Warehouse, turns: Callable[..., None], tiny: Path, tmp_path: Path
) -> None:
    root = Path(warehouse.root)
    turns(*TALKS)
    version = register(root, "sft", tiny)
    registry = Registry.open(settings_of(root))
    counts = rollout(warehouse, "sft", FEW, registry=registry)
    assert counts is not None and (counts.rows_in, counts.rows_failed, counts.calls_paid) == (16, 0, 0)
    first = dicts(warehouse, ROLLOUTS)
    assert {(row["status"], row["model_version"], row["request_id"]) for row in first} == {("ok", version, None)}
    assert {row["sample"] for row in first} == {0, 1}
    assert rollout(warehouse, "sft", FEW, registry=registry) is None, "nothing is new"

    rollout(warehouse, "sft", FEW, registry=registry, all_again=True)
    assert dicts(warehouse, ROLLOUTS) == first, "the same texts every time"
    turns(TALKS[0], name="more")
    rollout(warehouse, "sft", FEW, registry=registry)
    grown = dicts(warehouse, ROLLOUTS)
    assert [row for row in grown if not row["session_id"].startswith("more")] == first

    rollout(warehouse, "sft", FEW, registry=registry, greedy=True)
    greedy = [row for row in dicts(warehouse, ROLLOUTS) if row["condition"] == "sft@greedy"]
    assert len(greedy) == len(grown) / 2

    other = tmp_path / "other"
    shutil.copytree(tiny, other)
    (other / "notes.txt").write_text("another version")
    retrained = register(root, "sft", other)
    rollout(warehouse, "sft", FEW, registry=registry)
    now = [row for row in dicts(warehouse, ROLLOUTS) if row["condition"] == "sft"]
    assert {row["model_version"] for row in now} == {retrained} and len(now) == len(grown)
    assert [row["text"] for row in now] != [row["text"] for row in grown]


@pytest.mark.slow
def test_a_turn_that_has_no_prompt_fails_alone_with_its_reason(
    warehouse: Warehouse, turns: Callable[..., None], tiny: Path
) -> None:
    root = Path(warehouse.root)
    turns(*TALKS)
    register(root, "sft", tiny, max_length="9")
    counts = rollout(warehouse, "sft", FEW, registry=Registry.open(settings_of(root)))
    assert counts is not None and counts.rows_failed == counts.rows_in == 16
    assert {row["text"] for row in dicts(warehouse, ROLLOUTS)} == {None}
    assert {row["error"].split(":")[0] for row in dicts(warehouse, ROLLOUTS)} == {"policy"}


def test_who_cannot_answer_is_told_before_anything_is_asked(
    warehouse: Warehouse, turns: Callable[..., None], tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(warehouse.root)
    turns(TALKS[0])
    registry = Registry.open(settings_of(root))
    with pytest.raises(UsageError, match=r"there are: none.*l2a train.*--endpoint"):
        rollout(warehouse, "sft", FEW, registry=registry)
    register(root, "sft", tiny)
    registry = Registry.open(settings_of(root))
    with pytest.raises(UsageError, match=r"there are: sft"):
        rollout(warehouse, "grpo", FEW, registry=registry)
    monkeypatch.setattr(model_policy, "MOST_BYTES", 1000)
    with pytest.raises(UsageError, match=r"l2a serve sft.*--endpoint"):
        rollout(warehouse, "sft", FEW, registry=registry)
    register(root, "lora", tiny, kind="adapter", base="Qwen/Qwen2.5-7B-Instruct")
    with pytest.raises(UsageError, match=r"adapter on Qwen/Qwen2.5-7B-Instruct.*l2a serve lora"):
        rollout(warehouse, "lora", FEW, registry=registry)


@pytest.mark.slow
def test_an_endpoint_that_serves_other_weights_does_not_answer_for_a_registered_condition(
    warehouse: Warehouse, turns: Callable[..., None], tiny: Path
) -> None:
    root = Path(warehouse.root)
    turns(*TALKS)
    version = register(root, "sft", tiny, max_length="400")
    registry = Registry.open(settings_of(root))
    with chaos_endpoint(ChaosSettings(model="sft", model_version="7")) as chaos:
        judge = LLMSettings(endpoints=(chaos.url,), model="sft")
        with pytest.raises(UsageError, match="l2a serve sft"):
            rollout(warehouse, "sft", FEW, judge, registry=registry)
        told = judge.model_copy(update={"model_version": "7"})
        rollout(warehouse, "sft", FEW, told, registry=registry)
    assert {row["model_version"] for row in dicts(warehouse, ROLLOUTS)} == {"7"}, "it was said to be meant"
    calls = {row["request_id"]: row["prompt_tokens"] for row in dicts(warehouse, LLM_CALLS)}
    assert max(calls.values()) > 1500, "nobody knows what fits into that model"
    with chaos_endpoint(ChaosSettings(model="sft", model_version=version)) as chaos:
        rollout(warehouse, "sft", FEW, judge.model_copy(update={"endpoints": (chaos.url,)}), registry=registry)
    assert {row["model_version"] for row in dicts(warehouse, ROLLOUTS)} == {version}
    new = [row["prompt_tokens"] for row in dicts(warehouse, LLM_CALLS) if row["request_id"] not in calls]
    assert 0 < max(new) < 1500, "the prompt was cut to what the model was trained on"


@pytest.mark.slow
def test_the_command_takes_several_conditions_and_one_that_fails_does_not_stop_the_others(
    warehouse: Warehouse, turns: Callable[..., None], tiny: Path
) -> None:
    root = Path(warehouse.root)
    turns(*TALKS)
    register(root, "lost", tiny, max_length="9")
    register(root, "sft", tiny)
    words = ["rollout", "--warehouse", str(root), "--samples", "1"]
    done = CliRunner().invoke(main, [*words, "--condition", "lost", "--condition", "sft", "--condition", "expert"])
    assert done.exit_code == 1 and "8 of 8 rows failed" in done.output
    found = dicts(warehouse, ROLLOUTS)
    assert {(row["condition"], row["status"]) for row in found} == {
        ("lost", "failed"), ("sft", "ok"), ("expert", "ok"),
    }  # fmt: skip
    served = ["--endpoint", "http://127.0.0.1:9/v1", "--model", "sft"]
    done = CliRunner().invoke(main, [*words, *served, "--condition", "lost", "--condition", "sft"])
    assert done.exit_code == 2 and "one policy, which cannot be lost and sft" in done.output


def test_the_settings_judge_never_answers_for_a_policy(
    warehouse: Warehouse, turns: Callable[..., None], tiny: Path
) -> None:
    root = Path(warehouse.root)
    turns(*TALKS)
    version = register(root, "sft", tiny)
    words = ["rollout", "--warehouse", str(root), "--samples", "1", "--condition", "sft"]
    with chaos_endpoint(ChaosSettings(model="judge", model_version="7")) as chaos:
        judge = {"L2A_LLM__MODEL": "judge", "L2A_LLM__MODEL_VERSION": "7"}
        done = CliRunner().invoke(main, words, env={**judge, "L2A_LLM__ENDPOINTS": f'["{chaos.url}"]'})
        assert done.exit_code == 0, done.output
        assert chaos.server.record.served.total() == 0
    assert {row["model_version"] for row in dicts(warehouse, ROLLOUTS)} == {version}


def test_a_policy_is_asked_under_its_own_name_unless_options_say_otherwise() -> None:
    settings = {
        "endpoints": ["http://judge"],
        "model": "judge",
        "model_version": "7",
        "policy_endpoints": ["http://gpu"],
    }

    def asked(**given: object) -> tuple[object, ...]:
        found = asked_of("grpo", LLMSettings.model_validate({**settings, **given}), given)
        return found.endpoints, found.model, found.model_version

    assert asked() == (("http://gpu/v1",), "grpo", None)
    assert asked(endpoints=("http://here",)) == (("http://here/v1",), "grpo", None)
    assert asked(model="policy") == (("http://gpu/v1",), "policy", None)
    assert asked(model_version="3") == (("http://gpu/v1",), "grpo", "3")
    settings["policy_endpoints"] = []
    assert asked() == ((), "grpo", None)
    assert asked(model="policy") == (("http://judge/v1",), "policy", None)
    settings["endpoints"] = []
    for named in ({"model": "policy"}, {"model_version": "3"}):
        with pytest.raises(UsageError, match=r"--endpoint URL.*policy_endpoints"):
            asked(**named)
    assert asked(endpoints=("http://here",), model="p", model_version="3") == (("http://here/v1",), "p", "3")
