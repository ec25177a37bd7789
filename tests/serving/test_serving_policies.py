"""Registered policies on one server: each name tells its own weights, and what cannot share a server is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest
from command_line import environment, words
from fake_vllm import install
from registered import register, settings_of

from l2a.errors import UsageError
from l2a.llm.versions import resolve_model_version
from l2a.model_files import digest
from l2a.registry import Registry
from l2a.serving.policies import Policies, policies
from l2a.serving.process import serving_policies
from l2a.settings.llm import LLMSettings


def model(folder: Path, said: str, positions: int = 4096) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": positions}))
    (folder / "model.safetensors").write_text(said)
    return folder


def adapter(folder: Path, said: str, rank: int = 8, tokenizer: str = "one") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank, "rank_pattern": {"q": rank // 2}}))
    (folder / "adapter_model.safetensors").write_text(said)
    (folder / "tokenizer_config.json").write_text(tokenizer)
    return folder


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two whole models; three adapters on the first one, and one each on another base and of another tokenizer."""
    root, made = tmp_path_factory.mktemp("warehouse"), tmp_path_factory.mktemp("made")
    base = model(made / "base", "base")
    register(root, "base", base, max_length="1000")
    register(root, "sft", model(made / "sft", "sft", 512), max_length="1000")
    on = {"kind": "adapter", "base": str(base)}
    for name, rank in (("grpo", 8), ("cispo", 24), ("专家", 8)):
        register(root, name, adapter(made / name, name, rank), max_length="2000" if name == "cispo" else "1000", **on)
    register(root, "hub", adapter(made / "hub", "hub"), kind="adapter", base="Qwen/Qwen2.5-7B-Instruct", max_length="")
    register(root, "other", adapter(made / "other", "other", tokenizer="two"), **on)
    return root


@pytest.fixture
def registry(warehouse: Path) -> Registry:
    return Registry.open(settings_of(warehouse))


def test_a_whole_model_has_room_for_a_prompt_and_an_answer(registry: Registry) -> None:
    base = policies(registry, ["base"], 256)
    version = registry.newest("base")
    assert version is not None
    assert base == Policies(
        registry.fetch(version), "base", version.model_version, {}, ("--max-model-len", "1256")
    )  # fmt: skip
    assert policies(registry, ["sft"], 256).arguments == ("--max-model-len", "512"), "the model has no more positions"


def test_adapters_of_one_base_share_a_server(registry: Registry) -> None:
    found = policies(registry, ["grpo", "cispo"], 256)
    assert isinstance(found.model, Path) and found.model.name == found.name == "base" and found.version is None
    assert set(found.adapters) == {"grpo", "cispo"}
    for name, one in found.adapters.items():
        version = registry.newest(name)
        assert version is not None and one.version == version.model_version == digest(one.folder)
    assert found.arguments == (
        "--max-model-len", "2256", "--enable-lora", "--max-loras", "2", "--max-lora-rank", "32",
        "--tokenizer", str(found.adapters["grpo"].folder),
    )  # fmt: skip
    both = policies(registry, ["grpo", "base"], 256)
    assert both.name == "base" and both.version == digest(Path(str(both.model))), "the base is a condition too"
    hub = policies(registry, ["hub"], 256)
    assert (hub.model, hub.name) == ("Qwen/Qwen2.5-7B-Instruct",) * 2
    assert "--max-model-len" not in hub.arguments, "nobody said how long its prompts are"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["base", "sft"], "base and sft are whole models"),
        (["grpo", "hub"], "stand on several"),
        (["sft", "grpo"], "sft is not the model that grpo were trained on"),
        (["grpo", "other"], "different tokenizers"),
        (["grpo", "dpo"], "dpo is no folder, and no model is registered"),
        (["champion"], "champion is no folder, and no model"),
    ],
)
def test_what_cannot_share_a_server_is_told(registry: Registry, names: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        policies(registry, names, 256)


@pytest.fixture
def _fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "packages")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.setenv("FAKE_VLLM_PIDS", str(tmp_path / "pids"))


@pytest.mark.usefixtures("_fake")
def test_every_name_tells_its_own_weights(registry: Registry) -> None:
    with serving_policies(policies(registry, ["grpo", "专家", "base"], 256)) as server:
        told = {
            name: resolve_model_version(LLMSettings(endpoints=(server.url,), model=name))
            for name in ("grpo", "专家", "base")
        }
        with urllib.request.urlopen(f"{server.url}/models") as answer:
            flags = json.load(answer)["flags"]
    versions = {name: registry.newest(name) for name in told}
    assert told == {name: version.model_version for name, version in versions.items() if version is not None}
    assert told == {server.model: server.model_version, **server.adapters}
    assert "--enable-lora" in flags and flags[flags.index("--generation-config") + 1] == "vllm"


@pytest.mark.usefixtures("_fake")
def test_the_command_serves_the_champion(registry: Registry, warehouse: Path) -> None:
    version = registry.newest("sft")
    assert version is not None
    registry.crown(version, "Ada", "the first")
    command = words("serve", "champion", "--port", "0", "--warehouse", warehouse)
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    assert server.stdout is not None
    said = dict(server.stdout.readline().split() for _ in range(3))
    os.kill(server.pid, signal.SIGINT)
    errors = server.communicate(timeout=60)[1]
    assert (said["model"], said["model_version"]) == ("champion", version.model_version), errors
    assert f"l2a rollout --condition champion --endpoint {said['endpoint']} --model champion" in errors
