"""The embedded extractor: which facts does each user message supply?

A reply supplies values for the question just asked; a refusal, a repeat or small talk supplies nothing. Values that
nobody asked for are kept where their words are, in the train logs, rather words of replies than of openings.
"""

from __future__ import annotations

from collections.abc import Sequence

from l2a.dialogue.types import Fact, Message
from l2a.judge.embedded.attributes import Attributes, name_question
from l2a.judge.embedded.replies import optional, polar, polar_answer, refuses
from l2a.judge.embedded.spans import Span, spans
from l2a.judge.embedded.text import questions, words
from l2a.judge.embedded.vocabulary import Vocabulary
from l2a.judge.encoder import Encoder
from l2a.judge.protocols import Dialogue

MAX_READ = 2000
"""Characters of a message that are read for values."""
NEAR = 0.6
"""Cosine from which a question is taken for an ask of a learnt attribute; below, it is named by its own words."""


class EmbeddedExtractor:
    """Implements `l2a.judge.protocols.Extractor` with what `fit` learnt. Deterministic."""

    def __init__(self, name: str, encoder: Encoder, attributes: Attributes, vocabulary: Vocabulary) -> None:
        self._name = name
        self._encoder = encoder
        self._attributes = attributes
        self._vocabulary = vocabulary

    @property
    def name(self) -> str:
        """The judge's version: "embedded-" and 12 hexadecimal digits."""
        return self._name

    def extract(self, dialogues: Sequence[Dialogue]) -> list[list[Fact]]:
        """One list of facts per dialogue, in order of message_index; each value stands word for word in its message."""
        asked = {q: "" for d in dialogues for m in d.messages if m.role == "assistant" for q in questions(m.content)}
        for question, attribute in zip(asked, self._attribute_names(list(asked)), strict=True):
            asked[question] = attribute
        return [self._one(dialogue.messages, asked) for dialogue in dialogues]

    def _attribute_names(self, asked: list[str]) -> list[str]:
        index, score = self._attributes.nearest(self._encoder.vectors(asked))
        return [
            self._attributes.names[k] if k >= 0 and s >= NEAR else name_question(q)
            for q, k, s in zip(asked, index, score, strict=True)
        ]

    def _one(self, messages: Sequence[Message], names: dict[str, str]) -> list[Fact]:
        facts: list[Fact] = []
        said: set[str] = set()
        pending: tuple[str, ...] = ()
        for place, message in enumerate(messages):
            if message.role == "assistant":
                pending = questions(message.content)
            elif message.role == "user":
                text = message.content[:MAX_READ]
                facts += self._message(place, text, pending, names, said)
                said.update(word for word, _, _ in words(text))
        return facts

    def _message(
        self, place: int, text: str, pending: tuple[str, ...], names: dict[str, str], said: set[str]
    ) -> list[Fact]:
        dropped = said | {word for question in pending for word, _, _ in words(question)}
        if pending and refuses(text):
            return []
        found = spans(text, dropped)
        kept = [span for span in found if pending or self._vocabulary.telling(_words(text, span))]
        if kept:
            name = names[pending[-1]] if pending else "detail"
            return [Fact(place, name, text[span.start : span.end]) for span in kept]
        for question in pending:
            answer = polar_answer(text)
            if answer and polar(question) and not optional(question):
                return [Fact(place, names[question], text[answer[0] : answer[1]])]
        return []


def _words(text: str, span: Span) -> list[str]:
    return [word for word, _, _ in words(text)[span.first : span.last + 1]]
