"""The condition `sft`: the expert's next utterance at every usable turn, `<stop />` where the expert stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training import models
from training.base import base
from training.data import Turn, by_dialogue, share_of
from training.job import Job
from training.likelihood import optimize
from training.recipes import Sft
from training.rendering import Renderer, sequences
from training.stages import Stage


def sft(job: Job) -> Stage:
    """Supervised on all usable train turns, from the base model."""
    return supervised(job, "sft", base(job), job.train, job.recipe.sft, [])


def warm(job: Job, part: Sft, share: float) -> Stage:
    """Supervised on a share of the train dialogues only: where RL starts, which then sees the others."""
    seen = [turn for turn in job.train if share_of(turn.dialogue.session_id, job.seed) < share]
    return supervised(job, "warm", base(job), seen, part, [share])


def supervised(job: Job, name: str, start: Stage, turns: Sequence[Turn], part: Sft, more: list[Any]) -> Stage:
    stage = job.stage(name, [start.digest, *job.of_prompts, part.model_dump(), job.seed, *more])

    def work(checkpoints: Path, model: Path) -> dict[str, Any]:
        tokenizer = models.tokenizer_of(start.model)
        limit = job.recipe.model.max_length
        renderer = Renderer(tokenizer, job.prompt_limit)
        examples = sequences(
            renderer, by_dialogue(turns), limit, user_turns=part.user_turns, stops=part.stop_weight
        )  # fmt: skip
        steps = optimize(job, name, start.model, examples, part, checkpoints, model)
        return {"steps": steps, "turns": len(turns), "prompts": renderer.prompts, "shortened": renderer.shortened}

    stage.run(work)
    return stage
