"""A trained policy in this process: transformers on a CPU or a GPU, for small models and for machines without a server.

    policy = ModelPolicy(folder, model_version=version.model_version, max_length=version.max_length)
    answers = policy.answer(contexts, samples=5)

What is drawn for a rollout depends on the rollout alone: its random numbers come from a hash of (session, turn, sample,
model version, seed), one for each token, and choose the token by the inverse of the cumulative distribution, which is
exact sampling. So the same rollout has the same text whatever else is in its batch, and however often it is made.
(Batches of other shapes round the last bits of a logit otherwise. In float32, as on a CPU, a number that falls so near
the edge between two tokens comes about once in a million; in half precision, as on a GPU, more often.)

Sampling is plain: temperature only, no top-k, no penalties, whatever the model's generation_config.json would like.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2a.dialogue.types import Message
from l2a.errors import EnvironmentProblem, UsageError
from l2a.llm.prompts.tokens import Prompt, policy_prompt

if TYPE_CHECKING:
    import torch

MOST_POSITIONS = 32_768
"""Tokens of a batch, prompts and answers of all samples together: 100 MB of attention cache for a tiny model."""
MOST_CONTEXTS = 64


@dataclass(frozen=True)
class PolicyContext:
    """What a policy is asked: C_{t-1} of one turn."""

    session_id: str
    turn: int
    messages: Sequence[Message]
    goal: str | None = None
    domain: str | None = None


@dataclass(frozen=True)
class Answer:
    """One rollout."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    dropped: int
    """Messages of the context that lost all or part of their text, for want of room."""


class ModelPolicy:
    """A model folder in Hugging Face form, loaded once, asked in batches."""

    def __init__(
        self,
        folder: Path | str,
        *,
        model_version: str,
        max_length: int | None = None,
        stop_rule: bool = True,
        base: Path | str | None = None,
        device: str | None = None,
    ) -> None:
        """folder: of a whole model, or of an adapter on `base` (a folder or a hub name). max_length: tokens that a
        prompt may have; None: as many as the model has positions for. stop_rule: whether the instructions say when to
        stop. device: None: a GPU where there is one.

        Raises EnvironmentProblem where the folder cannot be loaded.
        """
        import torch

        self.model_version = model_version
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._tokenizer, self._model = load(Path(folder), base, self.device)
        self._positions = getattr(self._model.config, "max_position_embeddings", None)
        self._max_length = max_length
        self._stop_rule = stop_rule
        self._ends = _end_tokens(self._model, self._tokenizer)

    def prompt(self, context: PolicyContext, max_tokens: int) -> Prompt:
        """The prompt of a context, cut as it was in training. Where that is not known, the answer has room too."""
        answer = 1 if self._max_length is not None else max_tokens
        room = None if self._positions is None else self._positions - answer
        limits = [limit for limit in (self._max_length, room) if limit is not None]
        return policy_prompt(
            self._tokenizer,
            context.messages,
            goal=context.goal,
            domain=context.domain,
            stop_rule=self._stop_rule,
            limit=min(limits, default=None),
        )

    def answer(
        self,
        contexts: Sequence[PolicyContext],
        *,
        samples: int = 1,
        temperature: float = 1.0,
        max_tokens: int = 256,
        seed: int = 0,
    ) -> list[list[Answer]]:
        """The answers to each context, `samples` of them, in the order given. temperature 0: the likeliest tokens.

        An answer ends at the model's end of turn, after `max_tokens`, or with the model's positions, as a server has
        it. Raises UsageError where a prompt has no room even for its instructions.
        """
        prompts = [self.prompt(context, max_tokens) for context in contexts]
        found: list[list[Answer]] = [[] for _ in contexts]
        for batch in _batches([len(prompt.tokens) for prompt in prompts], samples, max_tokens):
            numbers = None
            if temperature > 0:
                numbers = np.stack(
                    [
                        uniforms(contexts[place], sample, self.model_version, seed, max_tokens)
                        for place in batch
                        for sample in range(samples)
                    ]
                )
            spoken = self._speak([prompts[place].tokens for place in batch], samples, temperature, max_tokens, numbers)
            texts = self._tokenizer.batch_decode(spoken, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            for row, text in enumerate(texts):
                prompt = prompts[batch[row // samples]]
                answer = Answer(text, len(prompt.tokens), len(spoken[row]), prompt.dropped)
                found[batch[row // samples]].append(answer)
        return found

    def _speak(
        self,
        prompts: list[list[int]],
        samples: int,
        temperature: float,
        max_tokens: int,
        numbers: np.ndarray | None,
    ) -> list[list[int]]:
        """The tokens of each answer, without the end; `samples` rows a prompt, which is read once for all of them."""
        import torch

        spoken: list[list[int]] = [[] for _ in range(len(prompts) * samples)]
        with torch.inference_mode():
            tokens, mask = self._padded(prompts)
            places = (mask.cumsum(1) - 1).clamp(min=0)
            out = self._model(input_ids=tokens, attention_mask=mask, position_ids=places, use_cache=True,
                              logits_to_keep=1)  # fmt: skip
            cache = out.past_key_values
            logits = out.logits[:, -1].repeat_interleave(samples, 0)
            mask, place = mask.repeat_interleave(samples, 0), places[:, -1:].repeat_interleave(samples, 0)
            if samples > 1:
                cache.batch_repeat_interleave(samples)
            rows = torch.arange(len(spoken), device=self.device)
            for step in range(max_tokens):
                drawn = None if numbers is None else torch.from_numpy(numbers[rows.cpu().numpy(), step])
                chosen = choose(logits, temperature, drawn)
                going = ~torch.isin(chosen, self._ends)
                for row, token in zip(rows[going].tolist(), chosen[going].tolist(), strict=True):
                    spoken[row].append(token)
                if self._positions is not None:
                    going &= place[:, 0] + 2 < self._positions
                if not going.any() or step + 1 == max_tokens:
                    break
                if not going.all():  # who has ended takes no further part
                    rows, chosen, mask, place = rows[going], chosen[going], mask[going], place[going]
                    cache.batch_select_indices(going.nonzero()[:, 0])
                place = place + 1
                mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
                out = self._model(input_ids=chosen[:, None], attention_mask=mask, position_ids=place,
                                  past_key_values=cache, use_cache=True)  # fmt: skip
                cache, logits = out.past_key_values, out.logits[:, -1]
        return spoken

    def _padded(self, prompts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and attention mask, int64 (prompts, longest): padded on the left, so that all end at one place."""
        import torch

        longest = max(map(len, prompts))
        tokens = torch.zeros(len(prompts), longest, dtype=torch.long)
        mask = torch.zeros_like(tokens)
        for row, prompt in enumerate(prompts):
            tokens[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask[row, longest - len(prompt) :] = 1
        return tokens.to(self.device), mask.to(self.device)


def choose(logits: torch.Tensor, temperature: float, numbers: torch.Tensor | None) -> torch.Tensor:
    """The next token of each row, int64 (rows,). logits: (rows, vocabulary). numbers: float64 (rows,) in [0, 1), each
    the place in the cumulative distribution whose token is taken; None: the likeliest token.
    """
    import torch

    if numbers is None:
        return logits.argmax(-1)
    shares = torch.softmax(logits.double() / temperature, dim=-1).cumsum(-1)
    wanted = numbers.to(logits.device)[:, None] * shares[:, -1:]
    return torch.searchsorted(shares, wanted, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)


def uniforms(context: PolicyContext, sample: int, model_version: str, seed: int, count: int) -> np.ndarray:
    """float64 (count,) in [0, 1): the random numbers of one rollout, the same in every process and for good."""
    key = json.dumps([context.session_id, context.turn, sample, model_version, seed])
    hashed = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "big")
    # The generator's raw words are promised to stay what they are; its conversions are not.
    words = np.random.Philox(key=hashed).random_raw(count)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def load(folder: Path, base: Path | str | None, device: str) -> tuple[Any, Any]:
    """Tokenizer and model of a folder; an adapter merged into its base. Raises EnvironmentProblem where it cannot."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        # Half precision is for GPUs: on a CPU it is slower, and rounds otherwise than the server that it stands in for.
        dtype = torch.float32 if device == "cpu" else "auto"
        _no_bar()
        model: Any = AutoModelForCausalLM.from_pretrained(base or folder, dtype=dtype)
        if base is not None:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
        return tokenizer, model.to(device).eval()
    except ImportError as error:
        raise EnvironmentProblem(
            f"A policy in process needs the package {error.name}: `pip install '.[train]'` in l2a's checkout."
        ) from None
    except (OSError, ValueError, RuntimeError) as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise EnvironmentProblem(f"The model in {folder} cannot be loaded: {said}") from error


def _no_bar() -> None:
    """Loading takes a moment; a progress bar of every Spark worker would only garble a log."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def _end_tokens(model: Any, tokenizer: Any) -> torch.Tensor:
    """Where an answer ends: the tokenizer's end of turn and those that the model names, as a server has it."""
    import torch

    named = model.generation_config.eos_token_id
    several = named if isinstance(named, list) else [named]
    ends = sorted({token for token in (tokenizer.eos_token_id, *several) if token is not None})
    if not ends:
        raise UsageError("The model names no end of turn (eos_token_id): its answers would never end.")
    return torch.tensor(ends, device=model.device)


def _batches(lengths: Sequence[int], samples: int, max_tokens: int) -> Iterator[list[int]]:
    """Places of prompts that are read together: of about one length, and no more than fit."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: (lengths[place], place)):
        positions = (len(batch) + 1) * samples * (lengths[place] + max_tokens)  # this prompt is the longest so far
        if batch and (positions > MOST_POSITIONS or len(batch) == MOST_CONTEXTS):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
