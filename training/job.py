"""One training, as all its stages see it: the turns, the recipe, where models are kept, where curves go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from l2a.settings import Settings
from training import models
from training.data import Turn
from training.recipes import Recipe
from training.stages import Stage

Curve = Callable[[dict[str, float], int], None]


KEPT_SAMPLES = 20


class Tracker(Protocol):
    """Where curves and samples of a training go."""

    def curves(self, values: dict[str, float], step: int) -> None: ...

    def file(self, path: Path, folder: str) -> None: ...


@dataclass(frozen=True)
class Job:
    """What every stage needs."""

    settings: Settings
    recipe: Recipe
    root: Path
    train: list[Turn] = field(repr=False)
    dev: list[Turn] = field(repr=False)
    data: str
    """Digest of the train turns."""
    extractor: str
    seed: int
    tracker: Tracker | None = None

    def stage(self, name: str, identity: Any) -> Stage:
        return Stage(self.root, name, identity)

    def curves(self, stage: str) -> Curve:
        """Logs numbers of a stage under its name."""

        def log(values: dict[str, float], step: int) -> None:
            if self.tracker is not None:
                self.tracker.curves({f"{stage}/{key}": value for key, value in values.items()}, step)

        return log

    def keep_samples(self, files: list[Path]) -> None:
        """Keeps some tables of completions, evenly over the training."""
        if self.tracker is not None:
            for file in files[:: max(1, len(files) // KEPT_SAMPLES)]:
                self.tracker.file(file, "completions")

    def save(self, trainer: Any, start: Path, target: Path) -> None:
        """Saves a trainer's model, gathered from all devices, beside the tokenizer that it started with."""
        trainer.save_model(str(target))
        (target / "training_args.bin").unlink(missing_ok=True)
        models.tokenizer_of(start).save_pretrained(str(target))
        if models.is_tiny(start):
            models.copy_tokenizer(start, target)
