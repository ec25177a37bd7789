"""`l2a train --dry-run`: what a training would do, without loading a model."""

from __future__ import annotations

import importlib.util
import math

from l2a.settings import Settings
from training import data, models
from training.data import Turn
from training.job import Job
from training.recipes import RL_METHODS, Fitting, Recipe
from training.rl import steps_of, usable
from training.train import prepare

_CHARACTERS_A_TOKEN = 3.5
_FLOPS = {"float32": 3e10, "bfloat16": 3e14}
"""What one CPU core, or one 80 GB card, does of a transformer's arithmetic in a second, roughly."""
_BYTES = {"float32": 4, "bfloat16": 2}


def dry_run(settings: Settings, recipe: Recipe, method: str, seed: int) -> list[str]:
    """Lines that tell data, lengths, steps, memory and hours.

    Raises `UsageError` where the recipe cannot be trained: a context longer than the model's, too few turns.
    """
    versions = data.newest_versions(settings.warehouse)
    extractor = data.resolve_extractor(settings.warehouse, settings.judge.extractor, versions)
    job = prepare(settings, recipe, method, seed, versions, extractor, "")
    models.check(recipe)
    parameters = _parameters(recipe)
    steps, tokens = _work(job, method)
    lengths = sorted(map(_context, job.train))
    stops = sum(turn.target == "STOP" for turn in job.train)
    too_long = sum(length > recipe.model.max_length for length in lengths) / len(lengths)
    trained = (parameters if recipe.model.lora is None else 0.01 * parameters) if steps else 0.0
    copies = 2 if _has_reference(recipe, method) else 1
    memory = (copies * parameters * _BYTES[recipe.model.dtype] + trained * 16) / 2**30
    hours = 6 * parameters * tokens / _FLOPS[recipe.model.dtype] / 3600
    return [
        f"recipe       {recipe.name}: {recipe.about}",
        f"data         {len(job.train):,} usable train turns ({stops:,} STOP), {len(job.dev):,} dev turns, {extractor}",
        f"contexts     about {lengths[len(lengths) // 2]:,.0f} tokens in the middle, {lengths[-1]:,.0f} at most; "
        f"{too_long:.1%} would lose their oldest messages",
        f"model        {recipe.model.source}, {parameters / 1e6:,.1f} M parameters"
        + (f", adapters of rank {recipe.model.lora.rank}" if recipe.model.lora else ""),
        *_answers(recipe, method),
        f"steps        {steps:,}"
        + (" at most: a turn for which no irrelevant question is found is left out" if method == "dpo" else ""),
        f"memory       about {memory:,.1f} GiB for weights, gradients and optimizer, on all devices; answers need more",
        f"hours        about {hours:,.2f} on one core (float32) or one 80 GB card (bfloat16), at a usual speed",
    ]


def _answers(recipe: Recipe, method: str) -> list[str]:
    """Where the answers that are rewarded come from, where that has to be there."""
    if method not in RL_METHODS or not recipe.rl_of(method).use_vllm:
        return []
    here = "" if importlib.util.find_spec("vllm") else ", which is not installed here"
    return [f"answers      from vLLM on a GPU (rl.vllm_mode {recipe.rl_of(method).vllm_mode}){here}"]


def _has_reference(recipe: Recipe, method: str) -> bool:
    """Whether the model that a method starts from is kept beside the one that learns; adapters are just left out."""
    compared = method == "dpo" or (method in RL_METHODS and recipe.rl_of(method).kl > 0)
    return compared and recipe.model.lora is None


def _parameters(recipe: Recipe) -> float:
    """Counted on a model without weights, so that any architecture is counted as it is."""
    if recipe.model.source == "tiny":
        t = recipe.model.tiny
        return t.vocabulary * t.hidden + t.layers * (4 * t.hidden**2 + 3 * t.hidden * t.intermediate)
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return float(AutoModelForCausalLM.from_config(models.config_of(recipe.model)).num_parameters())


def _work(job: Job, method: str) -> tuple[int, float]:
    """Optimizer steps of the last stage, and tokens that go through the model."""
    recipe = job.recipe
    if method in RL_METHODS:
        part = recipe.rl_of(method)
        asks, stops = usable(job, method, part)
        steps = steps_of(part, len(asks) + len(stops))
        middle = sum(map(_context, asks)) / max(1, len(asks))
        # Answers are sampled once and learnt from `iterations` times.
        tokens = steps * part.batch_size * part.generations * (middle + part.completion_tokens)
        return steps * part.iterations, tokens * (1 + part.iterations)
    if method == "base" and recipe.model.source != "tiny":
        return 0, 0.0  # a model from elsewhere is taken as it is
    if method == "dpo":
        # A turn is a pair: its context is read with the expert's utterance, and again with the other one.
        pairs = [turn for turn in job.train if turn.expert]
        longest = recipe.model.max_length
        tokens = 2 * sum(min(longest, _context(turn) + len(turn.expert) / _CHARACTERS_A_TOKEN) for turn in pairs)
        return _steps(recipe.dpo, len(pairs)), recipe.dpo.epochs * tokens
    fitting = recipe.base if method == "base" else recipe.sft
    dialogues = data.by_dialogue(job.train)
    return _steps(fitting, len(dialogues)), fitting.epochs * sum(_context(own[-1]) for own in dialogues)


def _steps(part: Fitting, sequences: int) -> int:
    """As the trainer counts them: an epoch's last step takes what is left."""
    return math.ceil(part.epochs * math.ceil(sequences / part.batch_size / part.accumulation))


def _context(turn: Turn) -> float:
    """Tokens of all that was said before a turn, roughly."""
    return sum(len(m.content) for m in turn.context) / _CHARACTERS_A_TOKEN
