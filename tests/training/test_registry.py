"""The registry's reading side: newest versions, their files, one champion, and nobody else's models."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from registered import register

from l2a.errors import EnvironmentProblem, UsageError
from l2a.mlflow_client import redacted
from l2a.registry import Registry, tracking_uri
from l2a.settings import Settings

KINDS = ("base", "sft", "it's 卡", "grpo")


def settings(**options: object) -> Settings:
    return Settings.model_validate({"options": options})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models") / "model"
    made.mkdir()
    (made / "config.json").write_text("{}")
    (made / "model.safetensors").write_bytes(b"weights")
    return made


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """Four conditions, one of them trained twice, beside a model of somebody else who uses the same alias."""
    from mlflow.tracking import MlflowClient

    root = tmp_path_factory.mktemp("warehouse")
    for condition in KINDS:
        register(root, condition, folder, metrics={"heldout_perplexity": 9.5})
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    (other / "model.safetensors").write_bytes(b"other weights")
    register(root, "grpo", other, kind="adapter", base="Qwen/Qwen2.5-7B-Instruct", max_length="2048")
    uri = tracking_uri(settings(warehouse=str(root)))
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.create_registered_model("theirs")
    client.create_model_version("theirs", folder.as_uri())
    client.set_registered_model_alias("theirs", "champion", "1")
    return root


@pytest.fixture
def registry(warehouse: Path) -> Registry:
    return Registry.open(settings(warehouse=str(warehouse)))


def test_the_newest_version_of_a_condition_is_found_with_what_it_is(registry: Registry) -> None:
    found = registry.newest("grpo")
    assert found is not None
    assert (found.condition, found.number, found.kind, found.base) == ("grpo", 2, "adapter", "Qwen/Qwen2.5-7B-Instruct")
    assert found.max_length == 2048
    first = registry.newest("it's 卡")
    assert first is not None and first.number == 1 and first.base is None
    assert first.model_version != found.model_version
    assert registry.metric(first, "heldout_perplexity") == 9.5
    assert registry.metric(first, "no such metric") is None
    assert registry.newest("dpo") is None


def test_only_what_l2a_made_is_seen(registry: Registry) -> None:
    assert registry.conditions() == sorted(KINDS)
    assert registry.newest("theirs") is None


def test_a_local_model_is_used_where_it_lies_and_a_damaged_one_is_not(registry: Registry, warehouse: Path) -> None:
    version = registry.newest("sft")
    assert version is not None
    folder = registry.fetch(version)
    assert folder.is_relative_to(warehouse)
    (folder / "training.log").write_text("notes beside the model are no part of it")
    assert registry.fetch(version) == folder
    weights = folder / "model.safetensors"
    weights.write_bytes(b"damaged")
    try:
        with pytest.raises(EnvironmentProblem, match="changed or damaged"):
            registry.fetch(version)
    finally:
        weights.write_bytes(b"weights")
    moved = folder.rename(folder.with_name("moved"))
    with pytest.raises(EnvironmentProblem, match="not where the registry says"):
        registry.fetch(version)
    moved.rename(folder)


def test_a_model_elsewhere_is_downloaded_once(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = registry.newest("sft")
    assert version is not None
    elsewhere = Registry(registry.uri, "l2a", cache=tmp_path / "cache")
    monkeypatch.setattr("l2a.registry.local_path", lambda uri: None)  # as for s3://
    folder = elsewhere.fetch(version)
    assert folder == tmp_path / "cache" / version.model_version
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    (folder / "model.safetensors").write_bytes(b"damaged")
    assert (elsewhere.fetch(version) / "model.safetensors").read_bytes() == b"weights"
    monkeypatch.setattr("mlflow.artifacts.download_artifacts", lambda **_: pytest.fail("it is there already"))
    assert elsewhere.fetch(version) == folder
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [version.model_version]


def test_there_is_one_champion_whoever_was_it_before(registry: Registry) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=registry.uri, registry_uri=registry.uri)
    assert registry.champion() is None, "somebody else's champion is not ours"
    for name in ("base", "sft", "base", "it's 卡"):
        version = registry.newest(name)
        assert version is not None
        registry.crown(version, "Ada", "TR +.2", forced=name == "sft")
        assert registry.champion() == version
        tags = client.get_model_version(name, str(version.number)).tags
        assert (tags["l2a.crowned_by"], tags["l2a.crowned_why"]) == ("Ada", "TR +.2")
        assert tags["l2a.crowned_forced"] == str(name == "sft").lower()
    crowned = [model.name for model in client.search_registered_models() if "champion" in model.aliases]
    assert sorted(crowned) == ["it's 卡", "theirs"]
    # A promotion that was killed before it took the alias from the one before.
    client.set_registered_model_alias("base", "champion", "1")
    champion = registry.champion()
    assert champion is not None and champion.condition == "it's 卡"


def test_a_warehouse_without_trainings_has_none_and_gets_no_database(tmp_path: Path) -> None:
    registry = Registry.open(settings(warehouse=str(tmp_path)))
    assert registry.newest("sft") is None and registry.champion() is None and registry.conditions() == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "uri"),
    [
        ({"warehouse": "/data/w"}, "sqlite:////data/w/_mlflow/mlflow.db"),
        ({"warehouse": "file:///data/my%20w"}, "sqlite:////data/my w/_mlflow/mlflow.db"),
        ({"warehouse": "s3://bucket/w", "train": {"tracking_uri": "https://mlflow"}}, "https://mlflow"),
        ({"warehouse": "w"}, f"sqlite:///{Path.cwd()}/w/_mlflow/mlflow.db"),
    ],
)
def test_models_are_registered_in_the_warehouse_or_where_the_setting_says(options: dict[str, object], uri: str) -> None:
    assert tracking_uri(settings(**options)) == uri


def test_a_remote_warehouse_needs_a_server() -> None:
    with pytest.raises(UsageError, match="L2A_TRAIN__TRACKING_URI"):
        Registry.open(settings(warehouse="s3://bucket/warehouse"))


def test_without_mlflow_it_says_what_to_install(warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(EnvironmentProblem, match=r"\.\[train\]"):
        Registry.open(settings(warehouse=str(warehouse))).conditions()


def test_a_server_that_is_down_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = "http://ada:secret@127.0.0.1:9"
    with pytest.raises(EnvironmentProblem, match="does not answer") as caught:
        Registry(uri, "l2a").newest("sft")
    assert "secret" not in str(caught.value)
    assert redacted(uri) == "http://***@127.0.0.1:9"
