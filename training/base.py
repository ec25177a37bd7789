"""The condition `base`: a model as it is, or a tiny one pretrained on the train logs' own text.

The tiny base sees every train dialogue as plain text with a loss on every token; but the expert's utterances are drawn
at random from those of the same domain, and some read `<stop />` at random. So it is fluent and knows the mark, and
what to ask when is left to be learnt: a base as weak as a prompted general model is (docs/training.md).
"""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path
from typing import Any

from l2a.dialogue.types import STOP_MARK, Message
from l2a.llm.prompts.rollout import policy_messages
from training import models, tiny
from training.data import Turn, by_dialogue
from training.job import Job
from training.likelihood import optimize
from training.ranks import barrier, is_main
from training.rendering import Example
from training.stages import Stage


def base(job: Job) -> Stage:
    """The stage of the base model, finished."""
    recipe = job.recipe
    if recipe.model.source != "tiny":
        source = recipe.model.source
        stage = job.stage("base", [source, recipe.model.dtype, *models.content_of(source)])
        stage.run(lambda checkpoints, model: _as_it_is(job, model))
        return stage
    stage = job.stage("base", [job.data, recipe.model.model_dump(), recipe.base.model_dump(), job.seed])
    stage.run(lambda checkpoints, model: _pretrained(job, checkpoints, model))
    return stage


def _as_it_is(job: Job, model: Path) -> dict[str, Any]:
    recipe = job.recipe.model
    if is_main():
        models.save(models.load_for_training(recipe.source, recipe), models.tokenizer_of(recipe.source), model)
    return {"steps": 0, "turns": 0}


def _pretrained(job: Job, checkpoints: Path, model: Path) -> dict[str, Any]:
    recipe = job.recipe
    start = checkpoints / "start"
    if is_main() and not start.is_dir():
        half = Path(tempfile.mkdtemp(dir=checkpoints))
        tiny.make(half, recipe.model.tiny, job.train, recipe.model.max_length, job.seed)
        os.sync()
        os.replace(half, start)
    barrier()
    tokenizer = models.tokenizer_of(start)
    said = _said(job.train)
    corpus = [
        Example(ids, list(ids))
        for turns in by_dialogue(job.train)
        if (ids := _text(turns, said, job, tokenizer)[: recipe.model.max_length])
    ]
    steps = optimize(job, "base", start, corpus, recipe.base, checkpoints, model, all_weights=True)
    return {"steps": steps, "turns": len(job.train)}


def _said(turns: list[Turn]) -> dict[str | None, list[str]]:
    found: dict[str | None, list[str]] = {}
    for turn in turns:
        if not turn.is_final:
            found.setdefault(turn.dialogue.domain, []).append(turn.expert)
    return found


def _text(turns: list[Turn], said: dict[str | None, list[str]], job: Job, tokenizer: Any) -> list[int]:
    dialogue = turns[0].dialogue
    draw = random.Random(f"{job.seed} {dialogue.session_id}")
    pool = said.get(dialogue.domain)
    end = max(turn.context_end for turn in turns)
    messages = []
    for message in dialogue.messages[:end]:
        if message.role == "assistant":
            stops = draw.random() < job.recipe.base.stop_share
            text = STOP_MARK if stops else draw.choice(pool) if pool else message.content
            message = Message("assistant", text)
        messages.append(message)
    chat = policy_messages(messages, goal=dialogue.goal, domain=dialogue.domain)
    for part in (part for part in chat if part["role"] == "assistant"):
        part["content"] = part["content"].replace("‹stop /›", STOP_MARK)
    return list(tokenizer.apply_chat_template(chat, tokenize=True, return_dict=False))
