"""The condition `dpo` (arXiv 2305.18290): the expert's utterance over one that is irrelevant to all the dialogue holds.

The paper lets an LLM write the irrelevant utterance. Here it is drawn from what experts ask elsewhere, and taken only
where the grader gives it 0 against everything that this user supplies: no call is needed, nothing made up is learnt.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from l2a.dialogue.utterance import parse
from l2a.errors import UsageError
from l2a.judge.protocols import Grader, Question
from l2a.open_judge import open_grader
from l2a.output_file import replacing
from training import models
from training.base import base
from training.data import Turn, by_dialogue
from training.job import Job
from training.ranks import barrier, is_main
from training.rendering import Renderer
from training.sft import sft
from training.stages import Stage, fit_model

TRIES = 4
"""Questions from elsewhere that are tried for a turn before it is left out."""


def dpo(job: Job) -> Stage:
    """The stage of the condition, finished. Raises `UsageError` where no turn has a rejected utterance."""
    part = job.recipe.dpo
    start = base(job) if part.start == "base" else sft(job)
    stage = job.stage("dpo", [start.digest, *job.of_prompts, part.model_dump(), job.grader, job.seed])
    stage.run(lambda checkpoints, model: _train(job, start, checkpoints, model))
    return stage


def _train(job: Job, start: Stage, checkpoints: Path, target: Path) -> dict[str, Any]:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    part = job.recipe.dpo
    tokenizer = models.tokenizer_of(start.model)
    renderer = Renderer(tokenizer, job.prompt_limit)
    pairs = _pairs(job, checkpoints / "pairs.json")
    if not pairs:
        raise UsageError("dpo: no turn has a question from elsewhere that the grader finds irrelevant")
    rows = [
        {
            "prompt": renderer.chat(turn),
            "chosen": [{"role": "assistant", "content": turn.expert}],
            "rejected": [{"role": "assistant", "content": other}],
        }
        for turn, other in pairs
    ]
    losses: dict[str, Any] = {}
    if part.sft_weight:
        losses = {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, part.sft_weight]}
    trainer = DPOTrainer(
        model=models.load_for_training(start.model, job.recipe.model),
        args=DPOConfig(
            **models.trainer_settings(checkpoints, part, job.seed, job.recipe.model.dtype),
            num_train_epochs=part.epochs,
            per_device_train_batch_size=part.batch_size,
            gradient_accumulation_steps=part.accumulation,
            max_length=job.recipe.model.max_length,
            beta=part.beta,
            **losses,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=models.adapters(start.model, job.recipe.model),
    )
    steps = fit_model(trainer, checkpoints, "dpo", job.curves("dpo"))
    job.save(trainer, start.model, target)
    return {
        "steps": steps,
        "turns": len(pairs),
        "prompts": renderer.prompts,
        "shortened": renderer.shortened,
        "grader": job.grader,
    }


def _pairs(job: Job, file: Path) -> list[tuple[Turn, str]]:
    """The pairs, drawn once: whoever goes on, and each of several processes, learns from the same ones."""
    if is_main() and not file.is_file():
        places = {id(turn): place for place, turn in enumerate(job.train)}
        found = rejected(job.train, open_grader(job.settings, job.grader, job.root), job.seed)
        with replacing(file) as text:
            json.dump([(places[id(turn)], other) for turn, other in found], text)
    barrier()
    return [(job.train[place], other) for place, other in json.loads(file.read_text(encoding="utf-8"))]


def rejected(turns: Sequence[Turn], grader: Grader, seed: int) -> list[tuple[Turn, str]]:
    """Turns, each with a question from another dialogue that asks for nothing which its own dialogue ever holds.

    At STOP turns any question is wrong. Questions come from other domains where there are some.
    """
    draw = random.Random(seed)
    pool = [(turn.dialogue.domain, turn.expert) for turn in turns if not turn.is_final and parse(turn.expert).questions]
    if not pool:
        return []
    supplied = {
        own[0].dialogue.session_id: (
            tuple(dict.fromkeys(item for turn in own for item in turn.information)),
            max((turn.future for turn in own), key=len),
        )
        for own in by_dialogue(turns)
    }
    found: dict[int, str] = {}
    open_turns = [(place, turn) for place, turn in enumerate(turns) if turn.expert]
    for _ in range(TRIES):
        asked: list[tuple[int, str, Question | None]] = []
        for place, turn in open_turns:
            if place in found:
                continue
            _, other = _elsewhere(draw, pool, turn.dialogue.domain)
            information, future = supplied[turn.dialogue.session_id]
            question = Question(other, information, (), turn.dialogue.domain, turn.dialogue.goal, future)
            asked.append((place, other, question if information and not turn.is_final else None))
        judged = iter(grader.grade([question for _, _, question in asked if question is not None]))
        for place, other, put in asked:
            if put is None or next(judged).r_a == 0.0:
                found[place] = other
    return [(turns[place], other) for place, other in sorted(found.items())]


def _elsewhere(
    draw: random.Random, pool: Sequence[tuple[str | None, str]], domain: str | None
) -> tuple[str | None, str]:
    for _ in range(TRIES):
        picked = draw.choice(pool)
        if picked[0] != domain:
            break
    return picked
