"""Which words of a user message are values: learnt from the logs, without a label of a person.

Three weak teachers, each wrong in its own way, are averaged. Echo: experts repeat values in later utterances (said by
the user first). Short replies: what stands in a reply of few words is a value, what stands in openings mostly is not.
Both are learnt on the encoder's contextual states, so that they carry over to words and services never seen; the echo
teacher once more on counts and shape, for words that the logs know well.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2a.dialogue.asking import exchanges
from l2a.dialogue.types import Message
from l2a.judge.embedded.lexicon import STOP_WORDS
from l2a.judge.embedded.text import asked_in, questions, words
from l2a.judge.encoder import Encoded, Encoder

SHORT = 4
"""A reply of at most so many words is, as a whole, a value."""
MAX_READ = 2000
"""Characters of a message that are read for values."""
NUMBER_PRIOR = 0.25
NAME_PRIOR = 0.25
"""Added for a number, and for an upper-case word inside a sentence: in any domain they tend to be values."""
_FEATURES = 11
_SENTENCE_END = re.compile(r"[.!?]\s*$")

Counts = Mapping[str, Sequence[int]]
"""Per word: in how many expert questions, short replies, longer replies, openings and user messages it was seen."""


@dataclass(frozen=True)
class Values:
    """score(word) = state . states + features . lexical + bias; about 0 for the average word, higher for values."""

    states: NDArray[np.float32]
    lexical: NDArray[np.float32]
    bias: float
    counts: Counts

    def score(self, text: str, encoded: Encoded) -> NDArray[np.float64]:
        """One score per word of `words(text)`. Without token states (other scripts) every word gets 0."""
        said = words(text)
        if not said or not len(encoded.states):
            return np.zeros(len(said))
        raw = word_states(text, encoded) @ self.states + _lexical(text, self.counts) @ self.lexical + self.bias
        prior = np.array([_prior(text, word, start) for word, start, _ in said])
        return np.asarray(np.round(np.clip(raw, -3, 3) + prior, 3), dtype=np.float64)


def word_states(text: str, encoded: Encoded) -> NDArray[np.float32]:
    """Mean token state of each word of the text, shape (words, 384); zeros for words beyond what was encoded."""
    said = words(text)
    result = np.zeros((len(said), encoded.vector.shape[0]), dtype=np.float32)
    token = 0
    for row, (_, start, end) in enumerate(said):
        while token < len(encoded.spans) and encoded.spans[token][1] <= start:
            token += 1
        last = token
        while last < len(encoded.spans) and encoded.spans[last][0] < end:
            last += 1
        if last > token:
            result[row] = encoded.states[token:last].astype(np.float32).mean(axis=0)
    return result


@dataclass(frozen=True)
class Heard:
    """One user message of the train logs: the questions it replies to, and whether each word is echoed later."""

    text: str
    pending: tuple[str, ...]
    echoed: tuple[bool, ...]


def hear(messages: Sequence[Message]) -> list[Heard]:
    """The user messages of a dialogue. A word is echoed if a later expert utterance says it and none before did."""
    found: list[Heard] = []
    said = list(exchanges(messages))
    expert = [{w for text in utterance for w, _, _ in words(text)} for utterance, _ in said]
    for number, (utterance, places) in enumerate(said, 1):
        pending = asked_in(utterance, questions)
        later = set().union(*expert[number:]).difference(*expert[:number])
        for place in places:
            text = messages[place].content[:MAX_READ]
            found.append(Heard(text, pending, tuple(w in later for w, _, _ in words(text))))
    return found


def count_words(dialogues: Iterable[Sequence[Message]], heard: Iterable[Heard]) -> dict[str, tuple[int, ...]]:
    """The counts of every word that was seen at least twice; a word seen once (a name, a number) is not kept."""
    tables = [Counter[str]() for _ in range(5)]
    for messages in dialogues:
        for message in messages:
            if message.role == "assistant":
                tables[0].update({w for q in questions(message.content) for w, _, _ in words(q)})
    for one in heard:
        said = {w for w, _, _ in words(one.text)}
        tables[4].update(said)
        tables[3 if not one.pending else 1 if len(said) <= SHORT else 2].update(said)
    seen = sorted(w for w in tables[4].keys() | tables[0].keys() if tables[4][w] + tables[0][w] > 1)
    return {w: tuple(table[w] for table in tables) for w in seen}


def learn_values(dialogues: Sequence[Sequence[Message]], encoder: Encoder) -> Values:
    """Fits the teachers. Logs without a single echo or short reply give a model that scores every word 0."""
    heard = [one for messages in dialogues for one in hear(messages)]
    counts = count_words(dialogues, heard)
    encoded = encoder.encode([one.text for one in heard])
    states, lexical, echo = [], [], []
    for one in heard:
        keep = [j for j, (w, _, _) in enumerate(words(one.text)) if w not in STOP_WORDS]
        if keep and len(encoded[one.text].states):
            states.append(word_states(one.text, encoded[one.text])[keep])
            lexical.append(_lexical(one.text, counts)[keep])
            echo += [one.echoed[j] for j in keep]
    size = encoder.size
    if not states:
        return Values(np.zeros(size, np.float32), np.zeros(_FEATURES, np.float32), 0.0, counts)
    s, x, y = np.concatenate(states), np.concatenate(lexical), np.array(echo)
    replied = x[:, 8]
    teachers = [_linear(s, y, 0.02), _linear(s, replied > np.median(replied), 0.02), _linear(x, y, 1.0)]
    plain = np.zeros(_FEATURES)
    plain[8] = 1.0
    w_states, w_lexical, bias = np.zeros(size), np.zeros(_FEATURES), 0.0
    for matrix, (weight, offset) in zip((s, s, x, x), [*teachers, (plain, 0.0)], strict=True):
        answer = matrix @ weight + offset
        scale = 0.25 / max(float(answer.std()), 1e-6)
        if matrix is s:
            w_states += scale * weight
        else:
            w_lexical += scale * weight
        bias += scale * (offset - float(answer.mean()))
    return Values(w_states.astype(np.float32), w_lexical.astype(np.float32), round(bias, 6), counts)


def _linear(matrix: NDArray[Any], labels: NDArray[Any], strength: float) -> tuple[NDArray[np.float64], float]:
    """Logistic regression on standardised columns, given back in the columns' own units; zeros without two classes."""
    if labels.all() or not labels.any():
        return np.zeros(matrix.shape[1]), 0.0
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped,unused-ignore]

    mean, spread = matrix.mean(axis=0), matrix.std(axis=0) + 1e-6
    if matrix.shape[1] > _FEATURES:
        mean, spread = np.zeros_like(mean), np.ones_like(spread)
    model = LogisticRegression(C=strength, max_iter=200, class_weight="balanced")
    model.fit((matrix - mean) / spread, labels.astype(int))
    weight = model.coef_[0] / spread
    return weight, float(model.intercept_[0] - (weight * mean).sum())


def _lexical(text: str, counts: Counts) -> NDArray[np.float32]:
    """Counts (log) and shape of each word of a text, shape (words, 11)."""
    rows = []
    for place, (word, start, _) in enumerate(words(text)):
        asked, short, long, opening, user = (math.log(n + 0.5) for n in counts.get(word, (0, 0, 0, 0, 1)))
        upper = text[start].isupper()
        inside = upper and place > 0 and not _SENTENCE_END.search(text[max(0, start - 3) : start])
        rows.append(
            (
                asked,
                short,
                long,
                opening,
                user,
                inside,
                word[0].isdigit(),
                len(word),
                short - opening,
                user - asked,
                upper,
            )
        )
    return np.array(rows, dtype=np.float32).reshape(-1, _FEATURES)


def _prior(text: str, word: str, start: int) -> float:
    if word[0].isdigit():
        return NUMBER_PRIOR
    inside = start > 0 and not _SENTENCE_END.search(text[max(0, start - 3) : start])
    return NAME_PRIOR if inside and text[start].isupper() and word not in STOP_WORDS else 0.0
