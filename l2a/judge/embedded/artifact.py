"""The embedded judge as an artifact: plain files, the same judge on any machine with the same package versions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from l2a.errors import UsageError
from l2a.judge.embedded.attributes import Attributes
from l2a.judge.embedded.crowding import Crowd
from l2a.judge.embedded.extractor import EmbeddedExtractor
from l2a.judge.embedded.finetune import Weights, with_weights
from l2a.judge.embedded.grader import EmbeddedGrader, Thresholds
from l2a.judge.embedded.values import Values
from l2a.judge.encoder import Encoder

Size = Literal["small", "full"]

JUDGE_VERSION = 16
"""Raised whenever the code would learn something else from the same logs, or answer differently from what it learnt."""

_FORMAT = 4
_WEIGHT = "encoder:"
"""Prefix of the changed encoder weights in judge.npz."""


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
    weights: Weights
    """Changed layers of the grader's encoder; none in a small judge."""
    crowd: Crowd
    encoder: Encoder
    """The extractor's encoder: its `coverage` counts what the model does not read."""

    @property
    def name(self) -> str:
        """The version that stands in tables: "embedded-" and 12 hexadecimal digits of what was learnt."""
        return self.extractor.name

    def save(self, folder: str | Path) -> None:
        """Writes judge.json and judge.npz into `folder` (made if missing). No pickle; loadable on another machine."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {
            "centres": self.attributes.centres,
            "states": self.values.states,
            "lexical": self.values.lexical,
            "questions": self.crowd.questions,
            "replies": self.crowd.replies,
            **{_WEIGHT + name: value for name, value in self.weights.items()},
        }
        np.savez(target / "judge.npz", **arrays)
        described = {
            "format": _FORMAT,
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


def assemble(
    attributes: Attributes,
    values: Values,
    weights: Weights,
    crowd: Crowd,
    thresholds: Thresholds,
    key: str,
    size: Size,
) -> EmbeddedJudge:
    """The two judges over what was learnt, named by a hash of it."""
    digest = hashlib.sha256(f"{JUDGE_VERSION} {size}".encode())
    arrays = (attributes.centres, values.states, values.lexical, crowd.questions, crowd.replies)
    for array in (*arrays, *(weights[k] for k in sorted(weights))):
        digest.update(np.ascontiguousarray(array).tobytes())
    learnt = [attributes.names, asdict(thresholds), values.bias, {w: list(n) for w, n in values.counts.items()}]
    digest.update(json.dumps(learnt, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    name = f"embedded-{digest.hexdigest()[:12]}"
    encoder = Encoder()
    tuned = Encoder(with_weights(weights)) if weights else encoder
    return EmbeddedJudge(
        EmbeddedExtractor(name, encoder, attributes, values),
        EmbeddedGrader(name, tuned, crowd, thresholds),
        key,
        size,
        attributes,
        values,
        weights,
        crowd,
        encoder,
    )


def load(folder: str | Path) -> EmbeddedJudge:
    """The judge that `save` wrote. Raises UsageError where the folder holds none that this version reads."""
    source = Path(folder)
    try:
        described = json.loads((source / "judge.json").read_text(encoding="utf-8"))
        with np.load(source / "judge.npz", allow_pickle=False) as arrays:
            learnt = {key: arrays[key] for key in arrays.files}
    except (OSError, ValueError, KeyError) as problem:
        raise UsageError(f"no embedded judge in {source}: {problem}; fit one with `l2a fit-judge`") from problem
    if described.get("format") != _FORMAT or described.get("judge_version") != JUDGE_VERSION:
        raise UsageError(f"the embedded judge in {source} was fitted by another l2a; fit it again with `l2a fit-judge`")
    judge = assemble(
        Attributes(tuple(described["attributes"]), learnt["centres"], tuple(described["asked"])),
        Values(learnt["states"], learnt["lexical"], described["bias"], described["words"]),
        {key.removeprefix(_WEIGHT): value for key, value in learnt.items() if key.startswith(_WEIGHT)},
        Crowd(learnt["questions"], learnt["replies"]),
        Thresholds(**described["thresholds"]),
        described["key"],
        described["size"],
    )
    if judge.name != described["name"]:
        raise UsageError(f"the embedded judge in {source} is damaged: its files do not add up to {described['name']}")
    return judge
