"""How well a model still reads ordinary text: the perplexity of what users say in dev dialogues.

A guard, not a goal: a policy that pays for its reward with its language shows here (`l2a promote` looks at it).
"""

from __future__ import annotations

import math
from pathlib import Path

from training import models
from training.data import by_dialogue
from training.job import Job
from training.rendering import IGNORED, Renderer

DIALOGUES = 100


def heldout_perplexity(folder: Path, job: Job) -> float | None:
    """Perplexity over the tokens of users' messages, given all that was said before; None without dev dialogues."""
    import torch

    turns = [own[-1] for own in by_dialogue(job.dev)][:DIALOGUES]
    if not turns:
        return None
    tokenizer = models.tokenizer_of(folder)
    model = models.load_for_training(folder, job.recipe.model).eval()
    if not models.on_cpu():
        model = model.to("cuda")
    renderer = Renderer(tokenizer, job.recipe.model.max_length)
    total, count = 0.0, 0
    with torch.inference_mode():
        for turn in turns:
            chat = renderer.chat(turn)
            ids, labels = _users(tokenizer, renderer, chat)
            if all(label == IGNORED for label in labels):
                continue
            given = torch.tensor([ids], device=model.device)
            logits = model(input_ids=given).logits[0, :-1].float()
            wanted = torch.tensor(labels[1:], device=model.device)
            total += float(torch.nn.functional.cross_entropy(logits, wanted, ignore_index=IGNORED, reduction="sum"))
            count += int((wanted != IGNORED).sum())
    return math.exp(total / count) if count else None


def _users(tokenizer: object, renderer: Renderer, chat: list[dict[str, str]]) -> tuple[list[int], list[int]]:
    """Tokens of a chat, and labels where a user speaks."""
    ids: list[int] = []
    labels: list[int] = []
    for end in range(1, len(chat) + 1):
        so_far = renderer.whole(chat[:end])
        new = so_far[len(ids) :]
        labels += list(new) if chat[end - 1]["role"] == "user" else [IGNORED] * len(new)
        ids = so_far
    return ids, labels
