"""Sets the grader's thresholds on train dialogues that it did not learn from; no label of a person is used.

At a drawn turn of a dialogue, a question is drawn that asks for nothing of I*_t: for what this dialogue supplied
before, for an attribute of the domain that it never touched, or one from another domain. A threshold is what a given
share of them reaches. Questions that do ask for an item are not looked at: those of the logs that the judge learnt from
are far better known to it than what a policy will say.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from l2a.dialogue.types import Fact
from l2a.judge.embedded.crowding import Crowd
from l2a.judge.embedded.grader import Reading, Thresholds, read_question, score
from l2a.judge.encoder import Encoder
from l2a.judge.protocols import Dialogue, Question

MIN_QUESTIONS = 20
PASS = 0.25
"""Share of the drawn questions that reach the threshold. Some do ask for an item: what the extractor misses and what
two attributes share counts as asked for nothing here."""


@dataclass(frozen=True)
class Asked:
    """A single question that was answered: the reply's place, the question, its attribute."""

    place: int
    question: str
    attribute: int


@dataclass(frozen=True)
class Example:
    """A dialogue to calibrate on: what was asked in it, and the facts that it holds."""

    dialogue: Dialogue
    asked: Sequence[Asked]
    facts: Sequence[Fact]


def calibrate(examples: Sequence[Example], encoder: Encoder, crowd: Crowd, turns: int, seed: int) -> Thresholds:
    """The grader's thresholds; the defaults where there are too few questions to tell."""
    questions = _drawn(examples, turns, random.Random(seed))

    def scores(asked: Sequence[Question]) -> list[float]:
        readings = [one for one in map(read_question, asked) if isinstance(one, Reading) and one.parts]
        found = encoder.encode([text for reading in readings for text in reading.texts()])
        return [score(reading, found, crowd, Thresholds(0.0, 0.0)) for reading in readings]

    sourced, plain = scores(questions), scores([dataclasses.replace(one, future=()) for one in questions])
    if min(len(sourced), len(plain)) < MIN_QUESTIONS:
        return Thresholds()
    return Thresholds(*(round(float(np.quantile(reached, 1 - PASS)), 4) for reached in (sourced, plain)))


def _drawn(examples: Sequence[Example], turns: int, chance: random.Random) -> list[Question]:
    """At most `turns` questions that ask for nothing where they are put."""
    wordings: dict[int, list[tuple[int, str]]] = {}
    domains: dict[str | None, set[int]] = {}
    for i, example in enumerate(examples):
        for asked in example.asked:
            wordings.setdefault(asked.attribute, []).append((i, asked.question))
            domains.setdefault(example.dialogue.domain, set()).add(asked.attribute)
    turns_of = [(i, k) for i, example in enumerate(examples) for k in range(len(example.asked))]
    found = []
    for i, k in sorted(chance.sample(turns_of, min(turns, len(turns_of)))):
        question = _elsewhere(examples[i], i, k, wordings, domains, chance)
        found += [question] if question else []
    return found


def _elsewhere(
    example: Example,
    i: int,
    k: int,
    wordings: Mapping[int, Sequence[tuple[int, str]]],
    domains: Mapping[str | None, set[int]],
    chance: random.Random,
) -> Question | None:
    """A question of another dialogue that asks for nothing at the k-th asked turn of this one; None: there is none."""
    messages = example.dialogue.messages
    end = example.asked[k].place
    while end > 0 and messages[end - 1].role != "user":
        end -= 1
    items = [str(fact) for fact in example.facts if fact.message_index >= end]
    ahead = {asked.attribute for asked in example.asked[k:]}
    past = {asked.attribute for asked in example.asked[:k]} - ahead
    own = domains[example.dialogue.domain]
    kinds = [past, own - ahead - past, set(wordings) - own]
    start = chance.randrange(3)
    # A wording of this very dialogue would be compared with itself.
    said = {asked.question.lower() for asked in example.asked}
    for attributes in kinds[start:] + kinds[:start]:
        others = [question for a in sorted(attributes) for at, question in wordings[a] if at != i]
        options = [question for question in others if question.lower() not in said] or others
        if options and items:
            return Question(chance.choice(options), items, messages[:end], future=messages[end:])
    return None
