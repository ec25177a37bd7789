"""The tiny model's weights: set, not learnt, so that every answer is short and differs with what was asked.

A token's embedding says two things. Eight coordinates say which state of an utterance the token leaves behind; the
others are random signs, its identity. Attention copies identities of far-away tokens into the residual stream, as sharp
and as arbitrary as random projections are, and leaves the state alone; the MLPs add nothing. The output layer reads the
state through a table (`_favour`), which decides what kind of token may come next, and the identities through random
signs, which decide among the tokens of a kind. So the form of an answer is fixed and its words are the context's:

    free text       a capitalised word, three more, a question mark, the end; sometimes `<stop />` and the end
    a JSON schema   as few strings, items and digits as the schema lets it end with; lists of objects hold none or one

Every state leads towards the end, so that an answer ends, sampled or greedy. Where a schema leaves no choice, the table
only decides between longer and shorter tokens for the same text.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from l2a.dialogue.types import STOP_MARK
from l2a.serving.tiny_tokens import ASSISTANT, END, SPECIAL

HIDDEN, HEADS, LAYERS, INTERMEDIATE = 128, 4, 2, 256

Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


class State(IntEnum):
    """What the last token leaves behind; each is a coordinate of the residual stream."""

    OTHER = 0
    OPENED = 1
    """The answer, or a string in it, begins."""
    WORD_1 = 2
    WORD_2 = 3
    WORD_3 = 4
    WORD_4 = 5
    ASKED = 6
    """The utterance is whole."""
    CLOSED = 7
    """An object or a list ended."""


_STATE_SIZE = 8.0
"""Large beside an identity's length of 1, so that the norm before each layer hardly changes what the table says."""
_SHARPNESS = 1.5
"""Of the attention: scores with a standard deviation of about 4, so that a head sees few tokens."""
_COPIED = 0.7
_CHOICE = 0.6
"""Size of the signs that read identities: logits of the same kind differ by about 1.6."""


def make_weights(texts: Sequence[str | None]) -> dict[str, Array]:
    """All tensors by name, float32. texts: what each token says, by id (None: not a whole text)."""
    states = [_state_after(token, text) for token, text in enumerate(texts)]
    free = HIDDEN - len(State)
    embeddings = np.zeros((len(texts), HIDDEN), np.float32)
    embeddings[np.arange(len(texts)), states] = _STATE_SIZE
    embeddings[:, len(State) :] = _signs("identity", len(texts), free) / math.sqrt(free)
    output = np.empty_like(embeddings)
    output[:, len(State) :] = _CHOICE * _signs("choice", len(texts), free)
    # After the last norm, the state's coordinate is the root of HIDDEN, since little else is in the vector.
    table = [[_favour(state, text, states[token]) for state in State] for token, text in enumerate(texts)]
    output[:, : len(State)] = np.array(table, np.float32) / math.sqrt(HIDDEN)

    weights: dict[str, Array] = {
        "model.embed_tokens.weight": embeddings,
        "model.norm.weight": np.ones(HIDDEN, np.float32),
        "lm_head.weight": output,
    }
    for layer in range(LAYERS):
        weights |= {f"model.layers.{layer}.{name}": array for name, array in _layer(layer).items()}
    return weights


def _layer(layer: int) -> dict[str, Array]:
    identity_only = np.ones(HIDDEN, np.float32)
    identity_only[: len(State)] = 0
    none = np.zeros(HIDDEN, np.float32)
    return {
        "input_layernorm.weight": identity_only,
        "self_attn.q_proj.weight": _SHARPNESS * _signs(f"q{layer}", HIDDEN, HIDDEN),
        "self_attn.q_proj.bias": none,
        "self_attn.k_proj.weight": _SHARPNESS * _signs(f"k{layer}", HIDDEN, HIDDEN),
        "self_attn.k_proj.bias": none,
        "self_attn.v_proj.weight": np.eye(HIDDEN, dtype=np.float32),
        "self_attn.v_proj.bias": none,
        "self_attn.o_proj.weight": _COPIED * np.eye(HIDDEN, dtype=np.float32),
        "post_attention_layernorm.weight": np.ones(HIDDEN, np.float32),
        "mlp.gate_proj.weight": np.zeros((INTERMEDIATE, HIDDEN), np.float32),
        "mlp.up_proj.weight": np.zeros((INTERMEDIATE, HIDDEN), np.float32),
        "mlp.down_proj.weight": np.zeros((HIDDEN, INTERMEDIATE), np.float32),
    }


def _state_after(token: int, text: str | None) -> State:
    if text in (ASSISTANT, '"'):
        return State.OPENED
    if text in ("?", "？", STOP_MARK):
        return State.ASKED
    if text in ("}", "]"):
        return State.CLOSED
    if text is None or text in SPECIAL:
        return State.OTHER
    if text.isalpha() and not text.isascii() and text.lower() == text.upper():  # a script without capitals
        return State(State.WORD_1 + token % 4)
    if text[:1] == " " and text[1:].isalpha():
        return State(State.WORD_2 + token % 3)
    if len(text) > 1 and text.isalpha() and text[0].isupper():
        return State.WORD_1
    return State.OTHER


def _favour(state: State, text: str | None, leads_to: State) -> float:
    """The logit of a token after a state, but for the choice among its kind."""
    if text == END:
        return {State.ASKED: 40.0, State.CLOSED: 40.0, State.OPENED: -40.0}.get(state, 2.0)
    if text in SPECIAL:
        return -60.0
    if text is None or not text.isprintable() or text.isspace() or text == "\\":
        return -20.0  # half a character, a control character, free white space, an escape
    if text == STOP_MARK:
        return 24.0 if state is State.OPENED else -20.0
    if text in ("?", "？"):
        return 30.0 if state is State.WORD_4 else 0.0
    if text.strip() == "true":
        return 7.0  # tuned: a judgement says true about as often as false
    if State.WORD_1 <= leads_to <= State.WORD_4:
        follows = leads_to == (State.WORD_1 if state is State.OPENED else state + 1)
        return (18.0 if follows else 0.0) + min(len(text.encode()), 4)
    if text in _PUNCTUATION:
        return _PUNCTUATION[text] + (6.0 if state is State.CLOSED and text in "]}" else 0.0)
    if text in _DIGITS:
        return _DIGITS[text]
    return min(len(text.encode()), 4) if text.isalpha() else 0.0 if text.isdigit() else -4.0


_DIGITS = {"2": 1.5, "4": 1.5, "6": 1.5, "8": 1.5, "1": 1.0}
"""The user's messages mostly have even numbers."""
_PUNCTUATION = {'"': 14.0, "{": 7.5, "]": 7.0, "}": 7.0, ".": 6.5, ",": 4.0, ":": 4.0}


def _signs(name: str, *shape: int) -> Array:
    """Random +1 and -1, the same on every machine for good: bits of SHAKE-256 of the name."""
    count = math.prod(shape)
    bits = np.unpackbits(np.frombuffer(hashlib.shake_256(name.encode()).digest(count // 8 + 1), np.uint8))[:count]
    return (bits.astype(np.float32) * 2 - 1).reshape(shape)
