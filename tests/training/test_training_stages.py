"""A stage makes its model once, whole or not at all, and keeps its last whole checkpoint."""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from l2a.errors import EnvironmentProblem, UsageError
from l2a.settings import Settings
from training.recipes import load
from training.stages import COMPLETE, Stage, last_checkpoint
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
        train(Settings(), load("ci"), "sft", name)


@pytest.mark.parametrize("name", ["grpo", "grpo-20261122-2", "it's 卡", "v1.2"])
def test_most_names_of_conditions_are_fine(name: str) -> None:
    assert CONDITION.fullmatch(name)
