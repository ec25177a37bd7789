"""The embedded extractor: which facts does each user message supply?

A reply supplies values for the questions just asked; a sentence that refuses or asks back, a repeat and small talk
supply nothing. What nobody asked for is kept where the logs say that its words are values.
"""

from __future__ import annotations

from collections.abc import Sequence

from l2a.dialogue.asking import exchanges
from l2a.dialogue.types import Fact, Message
from l2a.judge.embedded.attributes import Attributes, name_question
from l2a.judge.embedded.lexicon import EMPTY_WORDS, STOP_WORDS
from l2a.judge.embedded.replies import optional, polar, polar_answer, refuses
from l2a.judge.embedded.spans import Span, spans
from l2a.judge.embedded.text import asked_in, asks_back, novel, sentence_spans, stem, terms, topical, words
from l2a.judge.embedded.values import MAX_READ, Values
from l2a.judge.encoder import Encoded, Encoder
from l2a.judge.protocols import Dialogue

NEAR = 0.6
"""Cosine from which a question is taken for an ask of a learnt attribute; below, it is named by its own words."""
VOLUNTEERED = 0.6
"""Score from which a word is a value that nobody asked for. This and REPLIED were chosen on train dialogues."""
REPLIED = 0.2
"""Score from which a word is a value in a reply."""
ANY = -9.0
"""Where no word of a reply passes REPLIED, its content words are the value all the same, unless it says nothing."""
OTHER = "detail"
"""The attribute of a volunteered value: it has no question of its own."""


class EmbeddedExtractor:
    """Implements `l2a.judge.protocols.Extractor` with what `fit` learnt. Deterministic."""

    def __init__(self, name: str, encoder: Encoder, attributes: Attributes, values: Values) -> None:
        self._name = name
        self._encoder = encoder
        self._attributes = attributes
        self._values = values

    @property
    def name(self) -> str:
        """The judge's version: "embedded-" and 12 hexadecimal digits."""
        return self._name

    def extract(self, dialogues: Sequence[Dialogue]) -> list[list[Fact]]:
        """One list of facts per dialogue, in order of message_index; each value stands word for word in its message."""
        asked = {q: "" for d in dialogues for m in d.messages if m.role == "assistant" for q in topical(m.content)}
        said = [m.content[:MAX_READ] for d in dialogues for m in d.messages if m.role == "user"]
        encoded = self._encoder.encode([*asked, *said])
        for question, attribute in zip(asked, self._names(list(asked), encoded), strict=True):
            asked[question] = attribute
        return [self._dialogue(dialogue, asked, encoded) for dialogue in dialogues]

    def _names(self, asked: list[str], encoded: dict[str, Encoded]) -> list[str]:
        if not asked:
            return []
        import numpy as np

        index, score = self._attributes.nearest(np.stack([encoded[q].vector for q in asked]))
        return [
            self._attributes.names[k] if k >= 0 and s >= NEAR else name_question(q)
            for q, k, s in zip(asked, index, score, strict=True)
        ]

    def _dialogue(self, dialogue: Dialogue, names: dict[str, str], encoded: dict[str, Encoded]) -> list[Fact]:
        facts: list[Fact] = []
        goal = {stem(w) for w, _, _ in words(dialogue.goal or "")} | {
            stem(w) for w, _, _ in words(dialogue.domain or "")
        }
        said: set[str] = set()
        for utterance, places in exchanges(dialogue.messages):
            pending = asked_in(utterance, topical)
            for place in places:
                text = dialogue.messages[place].content[:MAX_READ]
                found = self._message(text, encoded[text], pending, said, goal)
                facts += [Fact(place, name, value) for name, value in _named(found, pending, names)]
                said |= terms(text)
        return facts

    def _message(
        self, text: str, encoded: Encoded, pending: tuple[str, ...], said: set[str], goal: set[str]
    ) -> list[tuple[bool, str]]:
        """(is a reply, value) of each value found."""
        score = self._values.score(text, encoded)
        every = words(text)
        choice = any(" or " in q.lower() for q in pending)
        known = said.union(*(() if choice else map(terms, pending)))
        new = novel(text, known)
        dull = [w in STOP_WORDS or w in EMPTY_WORDS or not new[j] for j, (w, _, _) in enumerate(every)]
        weak: list[int] = []
        strong: list[int] = []
        for start, end in sentence_spans(text):
            sentence = text[start:end]
            aside = bool(pending) and (refuses(sentence) or asks_back(sentence))
            for j, (_, begin, _) in enumerate(every):
                if start <= begin < end:
                    (strong if aside or not pending else weak).append(j)
        loud = set(strong)
        topic = [stem(w) in goal for w, _, _ in every]

        def passes(j: int) -> bool:
            if j in loud:
                return not dull[j] and not topic[j] and score[j] >= VOLUNTEERED
            return not dull[j] and score[j] >= REPLIED

        found = _texts(text, spans(text, passes))
        if found or not pending:
            return [(bool(pending), value) for value in found]
        answer = polar_answer(text)
        if answer and any(polar(q) and not optional(q) for q in pending):
            return [(True, text[answer[0] : answer[1]])]
        if answer is None:
            quiet = set(weak)
            return [
                (True, v) for v in _texts(text, spans(text, lambda j: j in quiet and not dull[j] and score[j] > ANY))
            ]
        return []


def _texts(text: str, found: list[Span]) -> list[str]:
    return list(dict.fromkeys(text[span.start : span.end] for span in found))


def _named(found: Sequence[tuple[bool, str]], pending: Sequence[str], names: dict[str, str]) -> list[tuple[str, str]]:
    """Values of a reply go to the question asked; with several questions, in their order, the rest to the last."""
    return [
        (names[pending[min(k, len(pending) - 1)]] if reply and pending else OTHER, value)
        for k, (reply, value) in enumerate(found)
    ]


def replies(messages: Sequence[Message]) -> list[tuple[int, str]]:
    """(place of the reply, question) wherever an expert utterance held exactly one question and the user came next."""
    found = [(places, asked_in(utterance, topical)) for utterance, places in exchanges(messages)]
    return [(places[0], asked[0]) for places, asked in found if places and len(asked) == 1]
