"""Trainings that are killed, or meet a grader in trouble: one model, one run, one row, as if nothing had happened.

The recipe is `ci`; the grader is an LLM's, played by the chaos endpoint over HTTP.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from training_tables import EXTRACTOR, make_warehouse

from l2a.llm.chaos.plan import ChaosSettings, Fault, Mode
from l2a.llm.chaos.rules import pipeline_rules
from l2a.llm.chaos.running import RunningChaos, chaos_endpoint
from l2a.sql import engine

pytestmark = pytest.mark.slow
FAULTS = {Fault.RATE_LIMIT: 0.05, Fault.SERVER_ERROR: 0.05, Fault.DROP: 0.05, Fault.REFUSAL: 0.05}


@pytest.fixture(scope="module")
def chaos() -> Iterator[RunningChaos]:
    with chaos_endpoint(ChaosSettings(faults=FAULTS, model="judge"), pipeline_rules()) as running:
        yield running


def environment(chaos: RunningChaos) -> dict[str, str]:
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "L2A_JUDGE__GRADER": "llm",
        "L2A_JUDGE__EXTRACTOR": EXTRACTOR,
        "L2A_LLM__ENDPOINTS": f'["{chaos.url}"]',
        "L2A_LLM__MODEL": "judge",
        "L2A_LLM__BACKOFF_SECONDS": "0.05",
    }


def start(root: Path, chaos: RunningChaos, *words: str, recipe: str | Path = "ci") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "l2a.cli", "train", *words, "--recipe", str(recipe), "--warehouse", str(root)]
    return subprocess.Popen(command, env=environment(chaos), stderr=subprocess.PIPE, text=True, start_new_session=True)


def finish(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said[-3000:]
    return said


def kill_when(process: subprocess.Popen[str], there: Callable[[], bool]) -> None:
    while process.poll() is None and not there():
        time.sleep(0.02)
    assert process.poll() is None, f"ended before it could be killed: {process.communicate()[1][-2000:]}"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def rows(root: Path) -> list[tuple[object, ...]]:
    sql = "SELECT condition, model_version, registry_version, steps, grader, trained_turns FROM trainings"
    return engine.connect(str(root), ("trainings",)).execute(sql).fetchall()


def test_a_training_that_is_killed_three_times_ends_as_one(tmp_path: Path, chaos: RunningChaos) -> None:
    root, other = make_warehouse(tmp_path / "killed", train=80), make_warehouse(tmp_path / "whole", train=80)
    stages = root / "_training" / "stages"
    words = ("grpo", "--condition", "grpo")

    kill_when(start(root, chaos, *words), lambda: any(stages.glob("base-*/checkpoints")))
    kill_when(start(root, chaos, *words), lambda: any(stages.glob("warm-*/checkpoints")))
    kill_when(start(root, chaos, *words), lambda: any(stages.glob("grpo-*/checkpoints/checkpoint-3/complete")))
    said = finish(start(root, chaos, *words))
    finish(start(other, chaos, *words))

    assert "goes on from checkpoint-3" in said
    (mine,), (theirs,) = rows(root), rows(other)
    assert mine[3] == theirs[3] == 6
    assert mine[2] == 1 and mine[4:] == theirs[4:]
    from l2a.registry import Registry
    from l2a.settings import load

    registry = Registry.open(load(None, {"warehouse": str(root)}))
    newest = registry.newest("grpo")
    assert newest is not None and (newest.number, newest.model_version) == (1, mine[1])
    assert "nothing to do" in finish(start(root, chaos, *words))
    assert rows(root) == [mine]


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_a_training_on_texts_that_was_killed_ends_in_the_same_weights(
    tmp_path: Path, chaos: RunningChaos, method: str
) -> None:
    root, other = make_warehouse(tmp_path / "killed", train=80), make_warehouse(tmp_path / "whole", train=80)
    recipe = tmp_path / "short.toml"
    text = (resources.files("training") / "recipes" / "ci.toml").read_text("utf-8")
    epochs = {"sft": "[sft]\nepochs = 1.0", "dpo": "[dpo]\nepochs = 0.5"}[method]
    assert epochs in text
    recipe.write_text(text.replace(epochs, f"[{method}]\nepochs = 2.0\nbatch_size = 8\nsave_steps = 3"))
    words = (method, "--condition", method)
    checkpoints = root / "_training" / "stages"
    kill_when(
        start(root, chaos, *words, recipe=recipe),
        lambda: any(checkpoints.glob(f"{method}-*/checkpoints/checkpoint-12/complete")),
    )
    assert "goes on from checkpoint" in finish(start(root, chaos, *words, recipe=recipe))
    finish(start(other, chaos, *words, recipe=recipe))
    assert rows(root) == rows(other), "killed in the middle of its second epoch"


def test_a_grader_in_trouble_is_left_out_of_the_reward_and_waited_for(tmp_path: Path, chaos: RunningChaos) -> None:
    """20 % faults, some of them final, and an outage in the middle."""
    root = make_warehouse(tmp_path, train=40)

    def outage() -> None:
        before = chaos.server.record.summary()
        while chaos.server.record.summary() == before:
            time.sleep(0.05)
        chaos.switch(Mode.DOWN)
        time.sleep(3)
        chaos.switch(Mode.NORMAL)

    threading.Thread(target=outage, daemon=True).start()
    finish(start(root, chaos, "grpo", "--condition", "grpo", "--seed", "1"))

    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{root}/_mlflow/mlflow.db")
    (run,) = client.search_runs([client.get_experiment_by_name("l2a").experiment_id])
    failed = [point.value for point in client.get_metric_history(run.info.run_id, "grpo/failed_share")]
    assert failed and max(failed) < 1, "the share of failed grades is a curve"
    rewards = [point.value for point in client.get_metric_history(run.info.run_id, "grpo/reward")]
    assert rewards and all(0 <= value <= 4 for value in rewards)
    assert run.info.status == "FINISHED"
