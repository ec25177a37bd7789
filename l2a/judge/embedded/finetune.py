"""Teaches the encoder, on train dialogues, which question an item answers: contrastive, the upper layers only.

Anchor: a question. Positive: the reply it got, or an item made of that reply. Everything else in a batch of whole
dialogues is a negative, so that the other facts of the same dialogue are the hard ones; questions of one attribute are
never each other's negatives (InfoNCE: https://arxiv.org/abs/1807.03748).
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2a.judge.embedded.attributes import name_question
from l2a.judge.encoder import base_model

FROZEN_LAYERS = 2
TEMPERATURE = 0.05
LEARNING_RATE = 5e-5
DIALOGUES = 8
MAX_TOKENS = 48

Weights = dict[str, NDArray[np.float16]]


@dataclass(frozen=True)
class Exchange:
    """A single question and what it got: the reply, the values in it, and the attribute (-1: none was learnt)."""

    question: str
    reply: str
    values: tuple[str, ...]
    attribute: int


def finetune(
    dialogues: Sequence[Sequence[Exchange]],
    names: Sequence[str],
    steps: int,
    seed: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> Weights:
    """The changed weights, as float16 by parameter name. Deterministic: as many steps as told, whatever the clock."""
    import torch

    tokenizer, base = base_model()
    model = copy.deepcopy(base)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(_learns(name))
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learnt, lr=LEARNING_RATE, weight_decay=0.01)
    chance = random.Random(seed)
    order: list[int] = []
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / 20, (steps - step) / (0.3 * steps))
        while len(order) < DIALOGUES:
            order += chance.sample(range(len(dialogues)), len(dialogues))
        picked = [exchange for i in order[:DIALOGUES] for exchange in dialogues[i]]
        order = order[DIALOGUES:]
        anchors = [one.question for one in picked]
        positives = [_positive(one, names, chance) for one in picked]
        vectors = _embed(model, tokenizer, anchors + positives)
        scores = vectors[: len(picked)] @ vectors[len(picked) :].T / TEMPERATURE
        scores = scores.masked_fill(torch.tensor(_same(picked, positives)), -1e4)
        target = torch.arange(len(picked))
        cross = torch.nn.functional.cross_entropy
        loss = (cross(scores, target) + cross(scores.T, target)) / 2
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimiser.step()
        if progress and (step % 10 == 9 or step == steps - 1):
            progress("encoder", step + 1, steps)
    return {
        name: parameter.detach().numpy().astype(np.float16)
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def with_weights(weights: Weights) -> Any:
    """A copy of the base model with the changed weights put in; the base model itself where there are none."""
    import torch

    _, base = base_model()
    if not weights:
        return base
    model = copy.deepcopy(base)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in weights.items():
            parameters[name].copy_(torch.from_numpy(value.astype(np.float32)))
    return model.eval()


def _learns(name: str) -> bool:
    parts = name.split(".")
    return parts[:2] == ["encoder", "layer"] and int(parts[2]) >= FROZEN_LAYERS


def _positive(one: Exchange, names: Sequence[str], chance: random.Random) -> str:
    """The reply, a value of it, or an item: the value under the question's own words or the attribute's name."""
    draw = chance.random()
    value = chance.choice(one.values) if one.values else one.reply
    if draw < 0.3:
        return one.reply
    if draw < 0.5:
        return value
    if one.attribute >= 0 and draw < 0.7:
        return f"{names[one.attribute]}: {value}"
    return f"{name_question(one.question)}: {value}"


def _same(picked: Sequence[Exchange], positives: Sequence[str]) -> NDArray[np.bool_]:
    """Pairs off the diagonal that are no negatives: one attribute, one question or one text. Shape (n, n)."""
    attribute = np.array([one.attribute for one in picked])
    question = np.array([hash_text(one.question) for one in picked])
    text = np.array([hash_text(p) for p in positives])
    same = (attribute[:, None] == attribute[None, :]) & (attribute[:, None] >= 0)
    same |= question[:, None] == question[None, :]
    same |= text[:, None] == text[None, :]
    np.fill_diagonal(same, False)
    return same


def hash_text(text: str) -> int:
    """A number for a text, ignoring case: the same in every process."""
    import zlib

    return zlib.crc32(text.lower().encode("utf-8", "surrogatepass"))


def _embed(model: Any, tokenizer: Any, texts: list[str]) -> Any:
    import torch

    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
    pieces = []
    for start in range(0, len(order), 32):
        chunk = [texts[i] for i in order[start : start + 32]]
        tokens = tokenizer(chunk, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        states = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state
        weight = tokens["attention_mask"].unsqueeze(-1).to(states.dtype)
        pieces.append((states * weight).sum(1) / weight.sum(1))
    vectors = torch.nn.functional.normalize(torch.cat(pieces), dim=1)
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return vectors[back]
