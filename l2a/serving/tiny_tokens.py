"""The tiny model's tokenizer: byte-level BPE over made-up dialogues, so that any Unicode text has tokens.

Words may carry the space before them; every digit and punctuation mark is a token of its own, so that no token holds
both a quote and what it quotes: a model that is held to a JSON schema can then end a string wherever it likes.

Normalisation (NFC) and splitting are Qwen2's. transformers gives every Qwen2 model these two, whatever its
tokenizer.json says, so that any others would make two tokenizers of one file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from l2a.dialogue.types import STOP_MARK

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.pre_tokenizers import PreTokenizer

VOCABULARY = 1535
PAD, END, SYSTEM, USER, ASSISTANT = "<|endoftext|>", "<|im_end|>", "<|system|>", "<|user|>", "<|assistant|>"
SPECIAL = (PAD, END, SYSTEM, USER, ASSISTANT)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + (message.role if message.role in ('system', 'assistant') else 'user') + '|>' }}"
    "{{ message.content }}{{ '<|im_end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""One token opens a message and one ends it; a tool's message counts as the user's."""

_DIALOGUES = 400
_KEYS = (
    '{"facts": [{"message": 0, "attribute": "", "value": ""}], "asks": true, "r_a": false, "role": "expert", "content"'
)
_TRAINING_PIECES = r" ?[\p{L}\p{M}]+|\p{N}|[^\s\p{L}\p{M}\p{N}]|\s+(?!\S)|\s+"
"""What may become one token: a word, or one other character."""
_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen2's own (transformers, tokenization_qwen2.py)."""


def make_tokenizer() -> Tokenizer:
    """Trains it: the same one in every process."""
    return train_tokenizer(_corpus(), VOCABULARY, SPECIAL)


def train_tokenizer(corpus: Iterable[str], vocabulary: int, special: Sequence[str]) -> Tokenizer:
    """A byte-level BPE in which `<stop />` is a token of its own, kept when special tokens are left out of a text.

    vocabulary: how many tokens, `special` ones and the 256 bytes among them, the mark not.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = _splitting(_TRAINING_PIECES)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        show_progress=False,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.pre_tokenizer = _splitting(_PIECES)
    tokenizer.add_tokens([AddedToken(STOP_MARK, normalized=False)])
    return tokenizer


def _splitting(pieces: str) -> PreTokenizer:
    from tokenizers import Regex, pre_tokenizers

    by_pieces = pre_tokenizers.Split(Regex(pieces), behavior="isolated")
    return pre_tokenizers.Sequence([by_pieces, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _corpus() -> Iterator[str]:
    from l2a.synth import LogSpec, entries

    for entry in entries(LogSpec(dialogues=_DIALOGUES, seed=0)):
        if entry.dialogue is not None:
            yield from entry.dialogue.texts
            yield _KEYS


def token_texts(tokenizer: Tokenizer) -> list[str | None]:
    """What each token says, by id; None for one that is no whole UTF-8 text by itself."""
    found: list[str | None] = []
    for token in range(tokenizer.get_vocab_size()):
        text = tokenizer.decode([token], skip_special_tokens=False)
        found.append(None if "�" in text else text)
    return found
