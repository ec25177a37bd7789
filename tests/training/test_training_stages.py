"""A stage makes its model once, whole or not at all, and keeps its last whole checkpoint."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from deltalake import DeltaTable, write_deltalake
from training_tables import EXTRACTOR, make_warehouse

from l2a import settings
from l2a.errors import EnvironmentProblem, UsageError
from l2a.open_judge import grader_name, open_grader
from training import dpo, models
from training.job import Job
from training.ranks import take_one_device
from training.recipes import Rl, load
from training.rl import check_vllm
from training.stages import COMPLETE, Stage, last_checkpoint
from training.state import State, begin, save
from training.train import CONDITION, train


def checkpoint(folder: Path, step: int, *, whole: bool) -> Path:
    made = folder / f"checkpoint-{step}"
    made.mkdir(parents=True)
    (made / "model.safetensors").write_bytes(b"weights")
    if whole:
        (made / COMPLETE).touch()
    return made


def test_a_full_disk_is_one_clear_error_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "sft", ["data"])

    def work(checkpoints: Path, model: Path) -> dict[str, Any]:
        checkpoint(checkpoints, 5, whole=True)
        checkpoint(checkpoints, 10, whole=False)
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise RuntimeError("the writer failed") from error

    with pytest.raises(EnvironmentProblem, match=r"no space left.*checkpoint-5 is whole.*run the same command"):
        stage.run(work)

    assert not stage.model.exists()
    last = last_checkpoint(stage.folder / "checkpoints")
    assert last is not None and last.name == "checkpoint-5"
    assert (last / "model.safetensors").read_bytes() == b"weights"
    assert [path.name for path in stage.folder.iterdir()] == ["checkpoints"]


def test_a_model_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    stage, made = Stage(tmp_path, "sft", ["data"]), []

    def work(checkpoints: Path, model: Path) -> dict[str, Any]:
        made.append(model)
        return {"steps": 3}

    stage.run(work)
    stage.run(work)
    assert len(made) == 1 and stage.facts == {"steps": 3}
    assert Stage(tmp_path, "sft", ["other data"]).folder != stage.folder


def test_what_a_killed_training_left_of_a_model_is_removed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "sft", ["data"])
    half = stage.folder / ".model-killed"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half of the weights")
    stage.run(lambda checkpoints, model: {"steps": 3})
    assert [path.name for path in stage.folder.iterdir()] == ["model"]


def test_two_trainings_that_start_alike_make_the_stage_once(tmp_path: Path) -> None:
    stage, made, begun = Stage(tmp_path, "base", ["data"]), [], threading.Event()

    def work(checkpoints: Path, model: Path) -> dict[str, Any]:
        begun.set()
        time.sleep(0.3)
        made.append(checkpoint(checkpoints, len(made), whole=True))
        return {"steps": 3}

    first = threading.Thread(target=stage.run, args=[work])
    first.start()
    begun.wait()
    Stage(tmp_path, "base", ["data"]).run(work)
    first.join()
    assert len(made) == 1 and stage.facts == {"steps": 3}


def test_a_checkpoint_cut_short_is_never_gone_on_from(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    checkpoint(tmp_path, 100, whole=False)
    assert last_checkpoint(tmp_path) is None
    checkpoint(tmp_path, 9, whole=True)
    checkpoint(tmp_path, 10, whole=True)
    last = last_checkpoint(tmp_path)
    assert last is not None and last.name == "checkpoint-10"


@pytest.mark.parametrize("name", ["a/b", "a\\b", "a:b", "a@b", ".a", "a.", " a", "-a", "", "a\nb", "expert", "x" * 101])
def test_a_condition_needs_a_name_that_is_a_file_and_a_model(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose another name"):
        train(settings.Settings(), load("ci"), "sft", name)


@pytest.mark.parametrize("name", ["grpo", "grpo-20261122-2", "it's 卡", "v1.2"])
def test_most_names_of_conditions_are_fine(name: str) -> None:
    assert CONDITION.fullmatch(name)


def test_a_training_that_goes_on_is_paid_by_the_judge_that_it_began_with(tmp_path: Path) -> None:
    asked = {"method": "grpo", "recipe": {}, "seed": 0}
    save(tmp_path / "grpo.json", State(asked, {"turns": 3}, "embedded-1", "2026-11-20T02:00", grader="embedded-1"))
    newer = settings.load(options={"judge": {"grader": "embedded-2"}})
    assert begin(newer, tmp_path / "grpo.json", asked).grader == "embedded-1"


def test_a_training_is_paid_by_no_other_llm_than_it_says(tmp_path: Path) -> None:
    def served(version: str) -> settings.Settings:
        llm = {"endpoints": ["http://127.0.0.1:9"], "model": "judge", "model_version": version}
        return settings.load(options={"llm": llm, "judge": {"grader": "llm"}})

    begun = grader_name(served("3"))
    assert open_grader(served("3"), begun, tmp_path).name == begun
    with pytest.raises(UsageError, match=r"begun with the grader llm:judge@3:.* now give llm:judge@4:.*another seed"):
        open_grader(served("4"), begun, tmp_path)


def test_a_training_whose_tables_were_vacuumed_since_begins_afresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_warehouse(tmp_path, train=4, dev=0)
    here = settings.load(options={"warehouse": str(tmp_path), "judge": {"extractor": EXTRACTOR}})
    begun: list[State] = []
    monkeypatch.setattr("training.train._work", lambda _settings, _job, state, *_: begun.append(state))
    train(here, load("ci"), "sft", "sft")
    dialogues = DeltaTable(tmp_path / "dialogues")
    write_deltalake(dialogues, dialogues.to_pyarrow_table(), mode="overwrite")
    train(here, load("ci"), "sft", "sft")
    dialogues.vacuum(0, dry_run=False, enforce_retention_duration=False)
    train(here, load("ci"), "sft", "sft")
    was, went_on, afresh = (state.versions["dialogues"] for state in begun)
    assert was == went_on < afresh
    assert "train sft: begins afresh" in capsys.readouterr().err


@pytest.mark.parametrize("told", [None, "ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"])
def test_all_weights_in_bfloat16_are_trained_only_where_something_keeps_them_in_float32(
    told: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(models, "on_cpu", lambda: False)
    recipe = load("qwen2.5-7b-full")
    here = recipe.model_copy(update={"model": recipe.model.model_copy(update={"source": str(tmp_path)})})
    if told:
        monkeypatch.setenv(told, "true")
    with pytest.raises(UsageError, match="model /" if told else "rounded away"):
        models.check(here, updates=True)
    with pytest.raises(UsageError, match="model /"):
        models.check(here)


def test_a_training_of_one_process_keeps_to_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for world, seen, left in (("1", None, "0"), ("1", "3,5", "3"), ("1", "", ""), ("8", "3,5", "3,5")):
        monkeypatch.setenv("WORLD_SIZE", world)
        if seen is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
        take_one_device()
        assert os.environ["CUDA_VISIBLE_DEVICES"] == left


def test_answers_from_vllm_need_vllm_and_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    check_vllm(Rl())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EnvironmentProblem, match=r"\.\[train,serve\]"):
        check_vllm(Rl(use_vllm=True))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("training.models.on_cpu", lambda: True)
    with pytest.raises(EnvironmentProblem, match="GPU"):
        check_vllm(Rl(use_vllm=True))


def test_a_saved_model_is_in_the_recipes_precision(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    saved = {"weight": torch.tensor([1.5, 2.25]), "steps": torch.tensor([7])}
    save_file(saved, tmp_path / "model-00001.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2", "dtype": "float32"}))
    for _ in range(2):
        models.cast(tmp_path, "bfloat16")
        found = load_file(tmp_path / "model-00001.safetensors")
        assert found["weight"].dtype == torch.bfloat16 and found["weight"].tolist() == [1.5, 2.25]
        assert found["steps"].dtype == torch.int64
        assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"


def test_pairs_are_drawn_once_and_by_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A grader whose failed call succeeds the next time must not change what is learnt from in the middle."""
    turns = ["a", "b", "c"]
    job = SimpleNamespace(train=turns, settings=None, grader="g", root=tmp_path)
    drawn: list[int] = []

    def rejected(train: list[str], grader: object, seed: object) -> list[tuple[str, str]]:
        drawn.append(1)
        return [(train[2], "说？"), (train[0], "Why?")]

    job.seed = 0
    monkeypatch.setattr(dpo, "open_grader", lambda *_, **__: None)
    monkeypatch.setattr(dpo, "rejected", rejected)
    file = tmp_path / "pairs.json"
    for rank in ("0", "1", "0"):
        monkeypatch.setenv("RANK", rank)
        assert dpo._pairs(job, file) == [("c", "说？"), ("a", "Why?")]  # type: ignore[arg-type]
    assert drawn == [1]


def test_a_model_without_weights_is_no_model(tmp_path: Path) -> None:
    job = Job(settings.Settings(), load("ci"), tmp_path, [], [], "data", "extractor", 0)
    sharded = SimpleNamespace(save_model=lambda folder: (Path(folder) / "rank-0.distcp").touch())
    with pytest.raises(EnvironmentProblem, match="zero3_save_16bit_model"):
        job.save(sharded, tmp_path, tmp_path)
