"""GRPO and its kin by TRL: groups of answers at a turn, rewarded by what the user supplied later.

grpo          R = R_s (1 + beta R_a) + Omega; advantages within a group (arXiv 2510.25441, section 4.3)
gspo          the importance ratio of a whole sequence (arXiv 2507.18071)
cispo         clipped importance weights instead of clipped updates (arXiv 2506.13585)
grpo-no-ra    R = (1 + beta) R_s + Omega
grpo-no-rs    R = beta R_a + Omega, on CONTINUE turns only, and without the stop rule in the prompt
grpo-sum      R = R_s + R_a + Omega

`kl` adds a penalty for leaving the model that it starts from; as published there is none.
"""

from __future__ import annotations

import importlib.util
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from l2a.errors import EnvironmentProblem, UsageError
from l2a.open_judge import open_grader
from l2a.reward.values import Form
from l2a.serving.process import runs_on_cpu
from training import models
from training.base import base
from training.data import Turn, share_of
from training.job import Job
from training.ranks import rank, world_size
from training.recipes import Rl
from training.rendering import Renderer
from training.reward import Reward, row
from training.sft import warm
from training.stages import Stage, fit_model

FORMS: dict[str, Form] = {"grpo-no-ra": "without_r_a", "grpo-no-rs": "without_r_s", "grpo-sum": "sum"}
WITHOUT_STOP_RULE = ("grpo-no-rs",)
_BUCKETS = 8
"""Lengths of prompts that are trained on together: a batch is padded to its longest prompt."""


def rl(job: Job, method: str) -> Stage:
    """The stage of a condition trained by `method`, finished. Raises `UsageError` where no turn is left to train on."""
    part = job.recipe.rl_of(method)
    start = base(job) if part.start == "base" else warm(job, part.warm, part.warm_share)
    stage = job.stage(
        method, [start.digest, job.data, job.recipe.model.model_dump(), part.model_dump(), job.grader, job.seed]
    )
    stage.run(lambda checkpoints, model: _train(job, method, part, start, checkpoints, model))
    return stage


def usable(job: Job, method: str, part: Rl) -> tuple[list[Turn], list[Turn]]:
    """CONTINUE and STOP turns that a method may see: not those of a warm start, without R_s none that stop.

    Raises `UsageError` where one kind is missing.
    """
    seen = [
        t for t in job.train if part.start == "base" or share_of(t.dialogue.session_id, job.seed) >= part.warm_share
    ]
    asks = [turn for turn in seen if turn.target == "CONTINUE"]
    stops = [] if method in WITHOUT_STOP_RULE else [turn for turn in seen if turn.target == "STOP"]
    if not asks or (not stops and method not in WITHOUT_STOP_RULE):
        kind = "STOP" if asks else "CONTINUE"
        raise UsageError(f"{method}: there is no usable {kind} turn among {len(seen)} train turns, nothing to train on")
    return asks, stops


def steps_of(part: Rl, turns: int) -> int:
    """Sets of prompts that a training on so many turns answers; each gives `iterations` optimizer steps."""
    return part.steps or max(1, round(part.epochs * turns / part.batch_size))


def answers_at_once(part: Rl) -> tuple[int, int]:
    """Answers that a device takes at once, and how often it does so for an optimizer step.

    Raises `UsageError` where a step's answers cannot be spread evenly over the devices of this training.
    """
    answers, devices = part.batch_size * part.generations, world_size()
    device = part.device_batch or max(1, answers // devices)
    if answers % (device * devices):
        raise UsageError(
            f"batch_size x generations ({answers}) cannot be divided by {device} answers at once (device_batch) on "
            f"each of {devices} devices"
        )
    return device, answers // (device * devices)


def schedule(asks: Sequence[Turn], stops: Sequence[Turn], part: Rl, seed: int) -> list[Turn]:
    """The turns of all steps, in order: every batch has the recipe's share of STOP turns and prompts of like length.

    Each kind is gone through in random order, again and again; STOP turns are rarer, so they come round more often.
    """
    draw = random.Random(seed)
    n_stop = part.stops_a_batch if stops else 0
    counts = ((asks, part.batch_size - n_stop), (stops, n_stop))
    steps = steps_of(part, len(asks) + len(stops))
    batches: list[list[Turn]] = [[] for _ in range(steps)]
    for turns, count in counts:
        order: list[Turn] = []
        while len(order) < steps * count:
            once = list(turns)
            draw.shuffle(once)
            order += once
        for start in range(0, steps, _BUCKETS):
            here = order[start * count : min(steps, start + _BUCKETS) * count]
            here.sort(key=lambda turn: sum(len(m.content) for m in turn.context))
            for place, batch in enumerate(batches[start : start + _BUCKETS]):
                batch += here[place * count : (place + 1) * count]
    for start in range(0, steps, _BUCKETS):
        part_of = batches[start : start + _BUCKETS]
        draw.shuffle(part_of)
        batches[start : start + _BUCKETS] = part_of
    return [turn for batch in batches for turn in batch]


def _train(job: Job, method: str, part: Rl, start: Stage, checkpoints: Path, target: Path) -> dict[str, Any]:
    asks, stops = usable(job, method, part)
    renderer = Renderer(
        models.tokenizer_of(start.model),
        job.recipe.model.max_length - part.completion_tokens,
        method not in WITHOUT_STOP_RULE,
    )
    judge = open_grader(job.settings, job.grader, job.root, ranks=world_size(), rank=rank())
    reward = Reward(judge, FORMS.get(method, "product"), part.reward_beta, part.completion_tokens)
    trainer = trainer_of(job, method, part, start, renderer, reward, checkpoints)
    reward.ends = trainer.eos_token_ids
    steps = fit_model(trainer, checkpoints, method, job.curves(method))
    job.save(trainer, start.model, target)
    job.keep_samples(sorted(checkpoints.glob("completions/*.parquet")))
    history = [entry for entry in trainer.state.log_history if "eval_reward" in entry]
    return {
        "steps": steps,
        "turns": len(asks) + len(stops),
        "prompts": renderer.prompts,
        "shortened": renderer.shortened,
        "grader": job.grader,
        "hacking": hacking(history),
        "start": start.folder.name,
    }


def trainer_of(
    job: Job, method: str, part: Rl, start: Stage, renderer: Renderer, reward: Any, checkpoints: Path
) -> Any:
    """TRL's trainer for a method, from the start stage's model, paid by `reward`."""
    from datasets import Dataset
    from trl import GRPOTrainer

    turns = schedule(*usable(job, method, part), part, job.seed)
    rows = [row(turn, renderer.chat(turn)) for turn in turns]
    held_out = [row(turn, renderer.chat(turn)) for turn in _held_out(job, method, part)]
    _quiet()
    return GRPOTrainer(
        model=str(start.model) if part.use_vllm else models.load_for_training(start.model, job.recipe.model),
        reward_funcs=reward,
        args=configuration(job, method, part, len(turns) // part.batch_size, checkpoints, bool(held_out)),
        train_dataset=Dataset.from_list(rows),
        eval_dataset=Dataset.from_list(held_out) if held_out else None,
        processing_class=renderer.tokenizer,
        peft_config=models.adapters(start.model, job.recipe.model),
    )


def check_vllm(part: Rl) -> None:
    """Raises `EnvironmentProblem` where answers are to come from vLLM, and cannot here."""
    if not part.use_vllm:
        return
    without = "or set use_vllm = false in the recipe's [rl]"
    if importlib.util.find_spec("vllm") is None:
        raise EnvironmentProblem(
            "the recipe takes answers from vLLM (rl.use_vllm), which is not installed: in l2a's checkout, "
            f"`pip install '.[train,serve]'`, {without}"
        )
    if models.on_cpu() or runs_on_cpu():
        raise EnvironmentProblem(
            f"the recipe takes answers from vLLM (rl.use_vllm), beside a training on a GPU, and GPU or vLLM's build "
            f"for it are missing: {without}"
        )


def hacking(history: Sequence[dict[str, float]]) -> str | None:
    """What a training that learns to please its grader looks like on dev turns: the reward rises, and the second
    grader, which pays nothing, agrees less and less. None: no such sign."""
    seen = [
        (entry["eval_reward"], entry["eval_second_grader_agrees"])
        for entry in history
        if "eval_second_grader_agrees" in entry
    ]
    if len(seen) < 2:
        return None
    (first_reward, first), (last_reward, last) = seen[0], seen[-1]
    if last_reward <= first_reward or last >= first - 0.05:
        return None
    return (
        f"reward on dev turns rose from {first_reward:.2f} to {last_reward:.2f} while the second grader's agreement "
        f"fell from {first:.2f} to {last:.2f}"
    )


def _held_out(job: Job, method: str, part: Rl) -> list[Turn]:
    """Dev turns on which curves are measured, the same at every step."""
    turns = [t for t in job.dev if method not in WITHOUT_STOP_RULE or t.target == "CONTINUE"]
    turns.sort(key=lambda turn: (share_of(f"{turn.dialogue.session_id} {turn.turn}", job.seed), turn.turn))
    whole = min(part.eval_turns, len(turns)) // part.batch_size * part.batch_size
    return turns[:whole]


def configuration(job: Job, method: str, part: Rl, steps: int, folder: Path, evaluates: bool) -> Any:
    from trl import GRPOConfig

    device, accumulation = answers_at_once(part)
    # TRL wants whole groups on all devices together when it evaluates.
    whole = part.generations // math.gcd(part.generations, world_size())
    vllm: dict[str, Any] = {}
    if part.use_vllm:
        vllm = {
            "use_vllm": True,
            "vllm_mode": part.vllm_mode,
            "vllm_gpu_memory_utilization": part.vllm_memory,
            "vllm_server_base_url": part.vllm_server,
            "model_init_kwargs": {"dtype": job.recipe.model.dtype},
        }
    limits: dict[str, Any] = {}
    if part.epsilon is not None:
        limits["epsilon"] = part.epsilon
    if part.epsilon_high is not None:
        limits["epsilon_high"] = part.epsilon_high
    common = models.trainer_settings(folder, part, job.seed, job.recipe.model.dtype)
    # TRL goes on with new answers: left between two updates on one set, it would mistake where all later sets begin.
    common["save_steps"] = math.ceil(part.save_steps / part.iterations) * part.iterations
    return GRPOConfig(
        **common,
        per_device_train_batch_size=device,
        per_device_eval_batch_size=math.ceil(device / whole) * whole,
        gradient_accumulation_steps=accumulation,
        max_steps=steps * part.iterations,
        num_iterations=part.iterations,
        num_generations=part.generations,
        max_completion_length=part.completion_tokens,
        temperature=part.temperature,
        beta=part.kl,
        loss_type="cispo" if method == "cispo" else "grpo",
        importance_sampling_level="sequence" if method == "gspo" else "token",
        scale_rewards="group",
        shuffle_dataset=False,
        eval_strategy="steps" if evaluates else "no",
        eval_steps=part.eval_steps,
        eval_on_start=evaluates,
        log_completions=True,
        num_completions_to_print=0,
        **limits,
        **vllm,
    )


def _quiet() -> None:
    """TRL prints the whole prompt of an answer without reward; a dialogue does not belong in a log."""
    import logging

    logging.getLogger("trl.trainer.grpo_trainer").setLevel(logging.ERROR)
