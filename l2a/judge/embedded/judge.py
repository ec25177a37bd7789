"""Fit, save and load: the whole embedded judge as one artifact of plain files."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from l2a.dialogue.types import Message
from l2a.errors import UsageError
from l2a.judge.embedded.attributes import Attributes, learn_attributes
from l2a.judge.embedded.calibrate import Ask, calibrate
from l2a.judge.embedded.extractor import NEAR, EmbeddedExtractor, replies
from l2a.judge.embedded.grader import EmbeddedGrader, Thresholds
from l2a.judge.embedded.text import questions
from l2a.judge.embedded.values import MAX_READ, Values, learn_values
from l2a.judge.encoder import Encoder
from l2a.judge.protocols import Dialogue

Size = Literal["small", "full"]
Progress = Callable[[str, int, int], None]
"""progress(what, done, of), called now and then while fitting."""

JUDGE_VERSION = 4
"""Raised whenever the code would answer differently from the same learnt numbers."""

FORMAT = 1


@dataclass(frozen=True, slots=True)
class FitDialogue(Dialogue):
    """A dialogue of the train split, with the id that makes the fit independent of the order it comes in."""

    session_id: str = ""


@dataclass(frozen=True)
class EmbeddedJudge:
    """What `fit` learnt, and the two judges over it."""

    extractor: EmbeddedExtractor
    grader: EmbeddedGrader
    key: str
    """`fit_key` of what it was fitted on: equal keys need no second fit."""
    size: Size
    attributes: Attributes
    values: Values
    encoder: Encoder

    @property
    def name(self) -> str:
        """The version that stands in tables: "embedded-" and 12 hexadecimal digits of what was learnt."""
        return self.extractor.name

    def save(self, folder: str | Path) -> None:
        """Writes judge.json and judge.npz into `folder` (made if missing). No pickle; loadable on another machine."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        np.savez(
            target / "judge.npz",
            centres=self.attributes.centres,
            states=self.values.states,
            lexical=self.values.lexical,
        )
        described = {
            "format": FORMAT,
            "name": self.name,
            "key": self.key,
            "size": self.size,
            "judge_version": JUDGE_VERSION,
            "attributes": list(self.attributes.names),
            "asked": list(self.attributes.asked),
            "thresholds": asdict(self.grader.thresholds),
            "words": {w: list(n) for w, n in self.values.counts.items()},
            "bias": self.values.bias,
        }
        (target / "judge.json").write_text(json.dumps(described, ensure_ascii=False, indent=1), encoding="utf-8")


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
    encoder = Encoder()
    counts = Counter(q for d in found for m in d.messages if m.role == "assistant" for q in questions(m.content))
    least = max(2, min(10, sum(counts.values()) // 300))
    if progress:
        progress("questions", 0, len(counts))
    values = learn_values([d.messages for d in found], encoder)
    attributes = learn_attributes(counts, _replies(found), encoder, least)
    chance = random.Random(seed)
    held = [found[i] for i in sorted(chance.sample(range(len(found)), min(600, len(found))))]
    if progress:
        progress("grader", 0, len(held))
    learner = EmbeddedExtractor("", encoder, attributes, values)
    thresholds = calibrate(_asks(held, learner, attributes, encoder), attributes, encoder, seed)
    return _assemble(encoder, attributes, values, thresholds, key, size)


def load(folder: str | Path) -> EmbeddedJudge:
    """The judge that `save` wrote. Raises UsageError where the folder holds none that this version reads."""
    source = Path(folder)
    try:
        described = json.loads((source / "judge.json").read_text(encoding="utf-8"))
        with np.load(source / "judge.npz", allow_pickle=False) as arrays:
            learnt = {key: arrays[key] for key in ("centres", "states", "lexical")}
    except (OSError, ValueError, KeyError) as problem:
        raise UsageError(f"no embedded judge in {source}: {problem}; fit one with `l2a fit-judge`") from problem
    if described.get("format") != FORMAT or described.get("judge_version") != JUDGE_VERSION:
        raise UsageError(f"the embedded judge in {source} was fitted by another l2a; fit it again with `l2a fit-judge`")
    thresholds = dict(described["thresholds"])
    thresholds["weights"] = tuple(thresholds["weights"])
    judge = _assemble(
        Encoder(),
        Attributes(tuple(described["attributes"]), learnt["centres"], tuple(described["asked"])),
        Values(learnt["states"], learnt["lexical"], described["bias"], described["words"]),
        Thresholds(**thresholds),
        described["key"],
        described["size"],
    )
    if judge.name != described["name"]:
        raise UsageError(f"the embedded judge in {source} is damaged: its files do not add up to {described['name']}")
    return judge


def _assemble(
    encoder: Encoder, attributes: Attributes, values: Values, thresholds: Thresholds, key: str, size: Size
) -> EmbeddedJudge:
    digest = hashlib.sha256(f"{JUDGE_VERSION} {size}".encode())
    for array in (attributes.centres, values.states, values.lexical):
        digest.update(np.ascontiguousarray(array, dtype=np.float32).tobytes())
    learnt = [attributes.names, asdict(thresholds), values.bias, {w: list(n) for w, n in values.counts.items()}]
    digest.update(json.dumps(learnt, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    name = f"embedded-{digest.hexdigest()[:12]}"
    extractor = EmbeddedExtractor(name, encoder, attributes, values)
    return EmbeddedJudge(extractor, EmbeddedGrader(name, encoder, thresholds), key, size, attributes, values, encoder)


def _replies(dialogues: Sequence[FitDialogue]) -> dict[str, list[str]]:
    """At most 20 replies of each question that was asked alone."""
    found: dict[str, list[str]] = {}
    for dialogue in dialogues:
        for place, question in replies(dialogue.messages):
            got = found.setdefault(question, [])
            if len(got) < 20:
                got.append(dialogue.messages[place].content[:MAX_READ])
    return found


def _asks(
    dialogues: Sequence[FitDialogue], learner: EmbeddedExtractor, attributes: Attributes, encoder: Encoder
) -> list[Ask]:
    """The answered single questions of the dialogues, each with the fact that its reply gave."""
    found: list[tuple[str, str, str, str | None]] = []
    for dialogue, facts in zip(dialogues, learner.extract(dialogues), strict=True):
        by_place = {fact.message_index: str(fact) for fact in reversed(facts)}
        for place, question in replies(dialogue.messages):
            if place in by_place:
                found.append((dialogue.session_id, question, by_place[place], dialogue.domain))
    index, score = attributes.nearest(encoder.vectors([f[1] for f in found]))
    return [
        Ask(session, question, int(k), item, domain)
        for (session, question, item, domain), k, s in zip(found, index, score, strict=True)
        if k >= 0 and s >= NEAR
    ]


def _hash_dialogue(dialogue: FitDialogue) -> bytes:
    def turns(messages: Sequence[Message]) -> list[list[str]]:
        return [[m.role, m.content] for m in messages]

    said = json.dumps([dialogue.session_id, dialogue.domain, turns(dialogue.messages)], ensure_ascii=True)
    return hashlib.sha256(said.encode()).digest()
