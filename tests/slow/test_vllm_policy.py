"""A policy behind a real vLLM and the same one in process: the same prompts and greedy texts, whole or adapter."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from registered import register, settings_of

from l2a.dialogue.types import Message
from l2a.llm.prompts.rollout import rollout_request
from l2a.llm.request import ChatRequest
from l2a.llm.sync import answer_batches
from l2a.llm.versions import resolve_model_version
from l2a.policy_model import ModelPolicy, PolicyContext
from l2a.registry import Registry
from l2a.serving.policies import policies
from l2a.serving.process import serving_policies
from l2a.serving.tiny import TINY_ARGUMENTS, make_tiny_model
from l2a.settings.llm import LLMSettings
from l2a.synth import LogSpec, entries

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
CONTEXTS, TOKENS, LENGTH = 150, 24, 400


def contexts() -> list[PolicyContext]:
    """Of made-up dialogues in three languages; some are longer than a prompt may be."""
    found = []
    for number, entry in enumerate(entries(LogSpec(dialogues=CONTEXTS, seed=3))):
        if entry.dialogue is None:
            continue
        said = [Message(("user", "assistant")[place % 2], text) for place, text in enumerate(entry.dialogue.texts)]
        end = 1 + 2 * (number % max(1, len(said) // 2))
        said = said[:end] if number % 10 else [*said[:2] * 20, *said[:end]]
        found.append(PolicyContext(f"s-{number}", end, said, goal="Ask what is missing.", domain="专家 & co"))
    return found


def make_adapter(base: Path, folder: Path) -> Path:
    """An adapter that changes what the model says, with its tokenizer beside it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(0)
    config = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def test_greedy_answers_of_a_server_are_those_in_process(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path)
    register(tmp_path / "warehouse", "base", base, max_length=str(LENGTH))
    lora = make_adapter(base, tmp_path / "adapter")
    register(tmp_path / "warehouse", "lora", lora, kind="adapter", base=str(base), max_length=str(LENGTH))
    registry = Registry.open(settings_of(tmp_path / "warehouse"))
    asked = contexts()
    said = {}
    with serving_policies(
        policies(registry, ["lora", "base"], TOKENS), log=tmp_path / "vllm.log", arguments=TINY_ARGUMENTS
    ) as server:
        for name in ("base", "lora"):
            version = registry.newest(name)
            assert version is not None
            llm = LLMSettings(endpoints=(server.url,), model=name, max_in_flight=16)
            assert resolve_model_version(llm) == version.model_version
            policy = ModelPolicy(
                registry.fetch(version),
                model_version=version.model_version,
                max_length=version.max_length,
                base=version.base,
            )
            mine = [answer for (answer,) in policy.answer(asked, temperature=0.0, max_tokens=TOKENS)]
            requests = [request(one, policy, name, version.model_version) for one in asked]
            rows = {row.request_id: row for batch in answer_batches(requests, llm) for row in batch}
            theirs = [rows[one.request_id] for one in requests]
            assert {row.status for row in theirs} == {"ok"}, {row.error for row in theirs}
            assert [row.prompt_tokens for row in theirs] == [answer.prompt_tokens for answer in mine]
            said[name] = [answer.text for answer in mine]
            equal = sum(row.text == text for row, text in zip(theirs, said[name], strict=True))
            assert equal >= 0.99 * len(asked), f"{name}: {equal} of {len(asked)} greedy texts are equal"
            assert any(answer.dropped for answer in mine), "some contexts are cut"
    differ = sum(one != other for one, other in zip(said["base"], said["lora"], strict=True))
    assert differ > len(asked) / 10, "an adapter is not its base"


def request(context: PolicyContext, policy: ModelPolicy, name: str, version: str) -> ChatRequest:
    """What a rollout asks of the endpoint."""
    made = rollout_request(
        context.messages, model=name, model_version=version, sample=0, temperature=0.0, max_tokens=TOKENS
    )
    return dataclasses.replace(made, messages=policy.prompt(context, TOKENS).messages)
