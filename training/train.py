"""One training from the tables to a registered model, and the row that it leaves in `trainings`.

The same command again resumes what was killed, on the table versions that it first saw; where it finished and the logs
teach nothing new since, it does nothing.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from l2a.conditions import BUILT_IN, CHAMPION
from l2a.errors import EnvironmentProblem, L2AError, TableError, UsageError
from l2a.mlflow_client import quoted
from l2a.progress import say
from l2a.settings import Settings, training_folder
from training import data, models
from training.base import base
from training.dpo import dpo
from training.finished import Training, leave
from training.job import Job
from training.perplexity import heldout_perplexity
from training.ranks import is_main, take_one_device
from training.recipes import RL_METHODS, Recipe
from training.rendering import prompt_digest
from training.rl import WITHOUT_STOP_RULE, answers_at_once, check_vllm, rl, usable
from training.sft import sft
from training.stages import Stage, disk_full
from training.state import State, alone, begin, fresh, save
from training.tracking import Run, card

NAMES = (*BUILT_IN, CHAMPION)
"""Conditions that no training may be called."""
CONDITION = re.compile(r"(?![-. ])[^@/\\:\x00-\x1f\x7f]{1,100}(?<![-. ])")
"""What a name has to look like to be a file, a model of MLflow and part of `NAME@greedy`."""
NOT_TRAINED_BY = {"name", "about", "grid"}
"""Fields of a recipe that no model depends on."""


def prepare(
    settings: Settings, recipe: Recipe, method: str, seed: int, versions: dict[str, int], extractor: str, grader: str
) -> Job:
    """The turns of a training, read and checked. Raises `UsageError` where there is nothing to learn from.

    extractor, grader: full names; grader: empty where the method needs none.
    """
    train = data.read(settings.warehouse, versions, extractor, "train")
    if not train:
        raise UsageError(
            f"no usable turn in the train split under extractor {extractor}: "
            'l2a sql "SELECT * FROM drop_reasons" says why turns are left out'
        )
    dev = data.read(settings.warehouse, versions, extractor, "dev")
    learnt = f"{data.digest(train)}-{prompt_digest()}"
    job = Job(settings, recipe, training_folder(settings), train, dev, learnt, extractor, seed, grader)
    if method in RL_METHODS:
        usable(job, method, recipe.rl_of(method))
        answers_at_once(recipe.rl_of(method))
    elif not any(turn.is_final for turn in train):
        raise UsageError(f"{method}: there is no usable STOP turn in the train split, nothing to learn stopping from")
    return job


def train(settings: Settings, recipe: Recipe, method: str, condition: str, seed: int = 0) -> Training | None:
    """Trains, registers and records a condition; None: that was done already, nothing was new.

    Raises `UsageError` for a condition's name that is taken, data that cannot be trained on, or another training of the
    same condition that runs; EnvironmentProblem where the disk is full, or MLflow does not answer.
    """
    if condition in NAMES or not CONDITION.fullmatch(condition):
        raise UsageError(
            f"condition {condition!r}: choose another name, of at most 100 characters, without @ / \\ : and line "
            f"breaks, without a dot, dash or space at its ends, and none of {', '.join(NAMES)}"
        )
    quoted(condition)  # what the registry cannot search for is refused now, not when the model is trained
    root = training_folder(settings)
    take_one_device()
    if recipe.model.source == "tiny":
        models.share_cores()
    with alone(root, condition):
        file = root / "conditions" / f"{condition}.json"
        asked = {"method": method, "recipe": recipe.model_dump(mode="json", exclude=NOT_TRAINED_BY), "seed": seed}
        state = begin(settings, file, asked)
        try:
            job, wanted = _prepared(settings, recipe, state)
        except TableError as error:
            if state.finished or state.training_id is None:
                raise
            # A vacuum has removed files of the versions that it was left on.
            say(
                f"train {condition}: begins afresh, the tables of {state.started_at[:16]} are no longer there ({error})"
            )
            state = fresh(settings, asked)
            job, wanted = _prepared(settings, recipe, state)
        if state.finished and state.training_id == wanted:
            say(f"train {condition}: finished already and the logs teach nothing new since, nothing to do")
            return None
        if not state.finished and state.training_id not in (None, wanted):
            state = fresh(settings, asked)
            job, wanted = _prepared(settings, recipe, state)
        models.check(recipe, updates=method != "base")
        if method in RL_METHODS:
            check_vllm(recipe.rl_of(method))
        state.training_id, state.finished = wanted, False
        try:
            save(file, state)
            return _work(settings, job, state, file, condition, method)
        except Exception as error:
            if isinstance(error, L2AError) or not disk_full(error):
                raise
            raise EnvironmentProblem(
                f"train {condition}: no space left on the disk of {root} or of MLflow. Free some space and run the "
                "same command again, it goes on where it was."
            ) from error


def _prepared(settings: Settings, recipe: Recipe, state: State) -> tuple[Job, str]:
    """A training on what its state pins, and its id: a digest of all that it depends on."""
    method, seed = state.asked["method"], state.asked["seed"]
    job = prepare(settings, recipe, method, seed, state.versions, state.extractor, state.grader)
    content = models.content_of(recipe.model.source)
    return job, Stage(job.root, method, [state.asked, job.data, job.extractor, job.grader, *content]).digest


def _work(settings: Settings, job: Job, state: State, file: Path, condition: str, method: str) -> Training | None:
    if not is_main():
        _stage(job, method)
        return None
    run = Run(settings, condition, state.run_id)
    state.run_id = run.run_id
    save(file, state)
    run.describe(*_description(job, state, condition, method))
    job = replace(job, tracker=run)
    clock = time.monotonic()
    try:
        try:
            stage = _stage(job, method)
        finally:
            state.seconds += time.monotonic() - clock
        save(file, state)
        return _registered(settings, job, state, file, condition, method, stage, run)
    except BaseException:
        # What it ended with is what has to be told: on a full disk neither of these can be written.
        with contextlib.suppress(Exception):
            save(file, state)
        with contextlib.suppress(Exception):
            run.failed()
        raise


def _registered(
    settings: Settings, job: Job, state: State, file: Path, condition: str, method: str, stage: Stage, run: Run
) -> Training:
    """Measures what a training made, registers it and leaves its row."""
    facts = stage.facts
    if facts.get("hacking"):
        say(f"train {condition}: WARNING, {facts['hacking']}: look at its questions before you trust it")
    perplexity = heldout_perplexity(stage.model, job)
    if perplexity is not None:
        run.curves({"heldout_perplexity": perplexity}, facts["steps"])
    number, version = run.register(stage.model, *_registration(job, state, condition, method, stage, perplexity))
    training = Training(
        condition=condition,
        training_id=str(state.training_id),
        method=method,
        recipe=job.recipe.name,
        seed=job.seed,
        model_version=version,
        registry_version=number,
        mlflow_run_id=run.run_id,
        extractor=job.extractor,
        grader=facts.get("grader"),
        dialogues_version=state.versions["dialogues"],
        turns_version=state.versions["turns"],
        objectives_version=state.versions["objectives"],
        usable_turns=len(job.train),
        trained_turns=facts["turns"],
        steps=facts["steps"],
        started_at=dt.datetime.fromisoformat(state.started_at),
        seconds=state.seconds,
    )
    leave(settings.warehouse, training)
    state.finished = True
    save(file, state)
    say(f"train {condition}: {facts['steps']} steps, {state.seconds:.0f} s, registered as version {number} ({version})")
    return training


def _stage(job: Job, method: str) -> Stage:
    if method == "base":
        return base(job)
    if method == "sft":
        return sft(job)
    if method == "dpo":
        return dpo(job)
    return rl(job, method)


def _description(
    job: Job, state: State, condition: str, method: str
) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    parameters = {
        "method": method,
        "recipe": job.recipe.name,
        "seed": job.seed,
        "extractor": job.extractor,
        "usable_turns": len(job.train),
        **{f"version.{table}": version for table, version in state.versions.items()},
        "source": job.recipe.model.source,
    }
    tags = {"l2a.condition": condition, "l2a.training_id": str(state.training_id)}
    return parameters, tags, {"recipe.json": job.recipe.model_dump_json(indent=1)}


def _registration(
    job: Job, state: State, condition: str, method: str, stage: Stage, perplexity: float | None
) -> tuple[dict[str, str], str]:
    recipe, facts = job.recipe.model, stage.facts
    answers = (job.recipe.rl_of(method) if method in RL_METHODS else job.recipe.rl).completion_tokens
    adapter_base = models.base_of(stage.model)
    tags = {
        "l2a.kind": "adapter" if adapter_base else "full",
        "l2a.method": method,
        "l2a.training_id": str(state.training_id),
        "l2a.max_length": str(recipe.max_length - answers),
        "l2a.stop_rule": str(method not in WITHOUT_STOP_RULE).lower(),
        **({"l2a.base": adapter_base} if adapter_base else {}),
    }
    told = {
        "method": method,
        "recipe": job.recipe.name,
        "starts from": recipe.source,
        "parameters": "low-rank adapters" if adapter_base else "all",
        "extractor": job.extractor,
        "grader": facts.get("grader") or "none",
        "usable train turns": len(job.train),
        "turns it was trained on": facts["turns"],
        "steps": facts["steps"],
        "prompts shortened": f"{facts.get('shortened', 0)} of {facts.get('prompts', 0)}",
        "table versions": ", ".join(f"{table} {version}" for table, version in state.versions.items()),
        "held-out perplexity": "not measured" if perplexity is None else round(perplexity, 2),
        "sign of reward hacking": facts.get("hacking") or "none",
    }
    return tags, card(condition, told)
