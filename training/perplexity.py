"""How well a model still reads ordinary text: the perplexity of what users say in dev dialogues.

A guard, not a goal: a policy that pays for its reward with its language shows here (`l2a promote` looks at it). It is
counted per word, so that models with tokenizers of their own can be compared, and over dialogues that a hash picks, so
that a training on grown logs is measured on mostly the same ones.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from l2a.dialogue.unspaced import UNSPACED
from training import models
from training.data import by_dialogue, share_of
from training.job import Job
from training.rendering import IGNORED, Renderer

DIALOGUES = 100
WORD = re.compile(rf"{UNSPACED}|[^\W_]+|[^\w\s]|_")


def heldout_perplexity(folder: Path, job: Job) -> float | None:
    """Perplexity per word of users' messages, given all that was said before; None without dev dialogues.

    A word is a run of letters or digits, a punctuation mark, or one character of a script that writes without spaces.
    """
    import torch
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    dialogues = sorted(by_dialogue(job.dev), key=lambda own: share_of(own[0].dialogue.session_id, 0))
    turns = [own[-1] for own in dialogues[:DIALOGUES]]
    if not turns:
        return None
    # This process reads it alone: after a training by ZeRO 3 a model would be made in parts that all others hold, too.
    unset_hf_deepspeed_config()
    model = models.load_for_training(folder, job.recipe.model).eval()
    if not models.on_cpu():
        model = model.to("cuda")
    renderer = Renderer(models.tokenizer_of(folder), job.recipe.model.max_length)
    total, count = 0.0, 0
    with torch.inference_mode():
        for turn in turns:
            chat = renderer.chat(turn)
            ids, labels = _users(renderer, chat)
            if all(label == IGNORED for label in labels):
                continue
            given = torch.tensor([ids], device=model.device)
            logits = model(input_ids=given).logits[0, :-1].float()
            wanted = torch.tensor(labels[1:], device=model.device)
            total += float(torch.nn.functional.cross_entropy(logits, wanted, ignore_index=IGNORED, reduction="sum"))
            count += sum(len(WORD.findall(part["content"])) for part in chat if part["role"] == "user")
    return math.exp(total / count) if count else None


def _users(renderer: Renderer, chat: list[dict[str, str]]) -> tuple[list[int], list[int]]:
    """Tokens of a chat, and labels where a user speaks."""
    ids: list[int] = []
    labels: list[int] = []
    for end in range(1, len(chat) + 1):
        so_far = renderer.whole(chat[:end])
        new = so_far[len(ids) :]
        labels += list(new) if chat[end - 1]["role"] == "user" else [IGNORED] * len(new)
        ids = so_far
    return ids, labels
