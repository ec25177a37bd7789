"""Learns the embedded judge from the train split, in four steps: values, attributes, encoder, grader."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from l2a.errors import UsageError
from l2a.judge.embedded.artifact import JUDGE_VERSION, EmbeddedJudge, Size, assemble
from l2a.judge.embedded.attributes import Attributes, learn_attributes
from l2a.judge.embedded.calibrate import Asked, Example, calibrate
from l2a.judge.embedded.crowding import crowd
from l2a.judge.embedded.extractor import NEAR, EmbeddedExtractor, replies
from l2a.judge.embedded.finetune import DIALOGUES, Exchange, Weights, finetune, with_weights
from l2a.judge.embedded.sources import SHORT
from l2a.judge.embedded.text import topical
from l2a.judge.embedded.values import MAX_READ, learn_values
from l2a.judge.encoder import Encoder
from l2a.judge.protocols import Dialogue

Progress = Callable[[str, int, int], None]
"""progress(what, done, of), called now and then while fitting."""


@dataclass(frozen=True)
class Plan:
    """How much work a size of judge takes: dialogues for the value words, dialogues and turns to calibrate on, steps of
    the encoder's fine-tuning, which reads each dialogue once at most."""

    values: int
    held: int
    turns: int
    steps: int


FEW = 100
"""With fewer dialogues all of them calibrate the grader: there are none to keep apart."""
PLANS: dict[str, Plan] = {"small": Plan(600, 150, 500, 0), "full": Plan(2000, 300, 1000, 240)}


@dataclass(frozen=True, slots=True)
class FitDialogue(Dialogue):
    """A dialogue of the train split, with the id that makes the fit independent of the order it comes in."""

    session_id: str = ""


def fit_key(dialogues: Iterable[FitDialogue], *, size: Size = "small", seed: int = 0) -> str:
    """What a fit depends on, hashed (64 hexadecimal digits): the same key means the same judge, and no need to fit."""
    digest = hashlib.sha256(f"{JUDGE_VERSION} {size} {seed}".encode())
    for one in sorted(_hash_dialogue(dialogue) for dialogue in dialogues):
        digest.update(one)
    return digest.hexdigest()


def fit(
    dialogues: Iterable[FitDialogue], *, size: Size = "small", seed: int = 0, progress: Progress | None = None
) -> EmbeddedJudge:
    """Learns the judge from train dialogues, in whatever order they come. Raises UsageError without any."""
    found = sorted(dialogues, key=lambda d: (d.session_id, _hash_dialogue(d)))
    if not found:
        raise UsageError("the embedded judge cannot be fitted: there is no train dialogue")
    if size not in ("small", "full"):
        raise UsageError(f"size of the embedded judge: {size!r} is neither 'small' nor 'full'")
    key = fit_key(found, size=size, seed=seed)
    plan, chance = PLANS[size], random.Random(seed)
    say = progress or (lambda what, done, of: None)
    encoder = Encoder()
    counts = Counter(q for d in found for m in d.messages if m.role == "assistant" for q in topical(m.content))
    say("values", 0, 4)
    values = learn_values([d.messages for d in _some(found, plan.values, chance)], encoder)
    say("attributes", 1, 4)
    attributes = learn_attributes(counts, _replies(found), encoder, max(2, min(10, counts.total() // 300)))
    say("encoder", 2, 4)
    learner = EmbeddedExtractor("", encoder, attributes, values)
    held = found if len(found) < FEW else _some(found, min(plan.held, len(found) // 5), chance)
    apart = {id(dialogue) for dialogue in held}
    rest = [dialogue for dialogue in found if id(dialogue) not in apart]
    weights: Weights = {}
    if plan.steps:
        taught = [e for e in _examples(rest, learner, attributes, encoder) if e.asked]
        if taught:
            steps = min(plan.steps, max(1, len(taught) // DIALOGUES))
            weights = finetune([_exchanges(e) for e in taught], attributes.names, steps, seed, progress)
    say("grader", 3, 4)
    tuned = Encoder(with_weights(weights)) if weights else encoder
    said = [(question, d.messages[at].content[:SHORT]) for d in rest or held for at, question in replies(d.messages)]
    around = crowd(said, tuned, seed)
    thresholds = calibrate(_examples(held, learner, attributes, encoder), tuned, around, plan.turns, seed)
    say("done", 4, 4)
    return assemble(attributes, values, weights, around, thresholds, key, size)


def _some(dialogues: Sequence[FitDialogue], many: int, chance: random.Random) -> list[FitDialogue]:
    """At most so many of the dialogues, drawn by the seed, in their order."""
    if len(dialogues) <= many:
        return list(dialogues)
    return [dialogues[i] for i in sorted(chance.sample(range(len(dialogues)), many))]


def _replies(dialogues: Sequence[FitDialogue]) -> dict[str, list[str]]:
    """At most 5 replies of each question that was asked alone."""
    found: dict[str, list[str]] = {}
    for dialogue in dialogues:
        for place, question in replies(dialogue.messages):
            got = found.setdefault(question, [])
            if len(got) < 5:
                got.append(dialogue.messages[place].content[:MAX_READ])
    return found


def _examples(
    dialogues: Sequence[FitDialogue], learner: EmbeddedExtractor, attributes: Attributes, encoder: Encoder
) -> list[Example]:
    """Each dialogue with its facts and its single questions that got one and ask for a learnt attribute."""
    every = sorted({question for d in dialogues for _, question in replies(d.messages)})
    index, score = attributes.nearest(encoder.vectors(every))
    known = {q: int(k) for q, k, s in zip(every, index, score, strict=True) if k >= 0 and s >= NEAR}
    found = []
    for dialogue, facts in zip(dialogues, learner.extract(dialogues), strict=True):
        places = {fact.message_index for fact in facts}
        asked = [Asked(at, q, known[q]) for at, q in replies(dialogue.messages) if at in places and q in known]
        found.append(Example(dialogue, asked, facts))
    return found


def _exchanges(example: Example) -> list[Exchange]:
    messages = example.dialogue.messages
    return [
        Exchange(
            asked.question,
            messages[asked.place].content[:300],
            tuple(fact.value for fact in example.facts if fact.message_index == asked.place),
            asked.attribute,
        )
        for asked in example.asked
    ]


def _hash_dialogue(dialogue: FitDialogue) -> bytes:
    turns = [[message.role, message.content] for message in dialogue.messages]
    said = json.dumps([dialogue.session_id, dialogue.domain, dialogue.goal, turns], ensure_ascii=True)
    return hashlib.sha256(said.encode()).digest()
