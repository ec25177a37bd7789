"""GRPO's step with the embedded judge as its reward, against TRL's own with a reward that costs nothing.

    python -m benchmarks.grpo_step WAREHOUSE [--recipe laptop] [--steps 20]

Both sides train the same model on the same turns in one process, in turns, from the recipe's start; making that start
is not timed. The bar is 1.3.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from l2a.open_judge import grader_name, open_grader
from l2a.settings import load as load_settings
from training import data, models
from training.base import base
from training.job import Job
from training.quiet import quiet
from training.recipes import load
from training.rendering import Renderer
from training.reward import Reward
from training.rl import trainer_of
from training.sft import warm
from training.train import prepare

ROUNDS = 3


def free(prompts: Any, completions: Any, **columns: Any) -> list[float]:
    """A reward that differs within a group, so that the optimizer has work, and costs nothing."""
    return [float(place % 5) for place, _ in enumerate(completions)]


def main(warehouse: str, recipe_name: str, steps: int) -> None:
    quiet()
    settings = load_settings(None, {"warehouse": warehouse})
    recipe = load(recipe_name)
    versions = data.newest_versions(warehouse)
    job = prepare(settings, recipe, "grpo", 0, versions, data.resolve_extractor(warehouse, "embedded", versions), "")
    part = recipe.rl.model_copy(update={"steps": steps, "eval_turns": 0, "save_steps": 10_000})
    start = warm(job, part.warm, part.warm_share) if part.start == "sft" else base(job)
    grader = open_grader(settings, grader_name(settings), job.root)
    taken: dict[str, list[float]] = {"embedded judge": [], "free": []}
    with tempfile.TemporaryDirectory() as folder:
        for round_ in range(ROUNDS):
            for name, reward in (("free", free), ("embedded judge", Reward(grader, "product", 2.0))):
                taken[name].append(_seconds(job, part, start, reward, Path(folder, f"{name}-{round_}")) / steps)
    for name, seconds in taken.items():
        print(f"{name:15} {min(seconds):.2f} s a step, best of {ROUNDS} ({', '.join(f'{s:.2f}' for s in seconds)})")
    print(f"ratio           {min(taken['embedded judge']) / min(taken['free']):.2f} (at most 1.3)")


def _seconds(job: Job, part: Any, start: Any, reward: Any, folder: Path) -> float:
    renderer = Renderer(models.tokenizer_of(start.model), job.recipe.model.max_length - part.completion_tokens)
    trainer = trainer_of(job, "grpo", part, start, renderer, reward, folder)
    started = time.monotonic()
    trainer.train()
    return time.monotonic() - started


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("warehouse")
    parser.add_argument("--recipe", default="laptop")
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    main(arguments.warehouse, arguments.recipe, arguments.steps)
