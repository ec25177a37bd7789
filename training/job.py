"""One training, as all its stages see it: the turns, the recipe, where models are kept, where curves go."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from l2a.errors import EnvironmentProblem
from l2a.settings import Settings
from training import models
from training.data import Turn
from training.ranks import is_main
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
    """Digest of the train turns, and of how they become prompts."""
    extractor: str
    seed: int
    grader: str = ""
    """The full name of who pays; empty where nobody does."""
    tracker: Tracker | None = None

    @property
    def prompt_limit(self) -> int:
        """Tokens of the longest prompt of a training without RL: a policy's answer has to fit beside it."""
        return self.recipe.model.max_length - self.recipe.rl.completion_tokens

    @property
    def of_prompts(self) -> list[Any]:
        """What prompts and the answers to them depend on, for a stage's identity."""
        return [self.data, self.recipe.model.model_dump(), self.prompt_limit]

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
        """Saves a trainer's model, gathered from all devices, beside the tokenizer that it started with.

        Raises EnvironmentProblem where no weights came of it: a sharded model that was not gathered leaves none.
        """
        if getattr(trainer, "is_fsdp_enabled", False):
            trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
        trainer.save_model(str(target))
        if is_main() and not any(target.glob("*.safetensors")):
            raise EnvironmentProblem(
                "the trained model's weights were not saved in one piece: with DeepSpeed's ZeRO 3 set "
                "zero3_save_16bit_model, and run the same command again; it goes on from the last checkpoint"
            )
        if is_main() and getattr(trainer, "is_fsdp_enabled", False):
            models.cast(target, self.recipe.model.dtype)
        (target / "training_args.bin").unlink(missing_ok=True)
        shutil.rmtree(target / "ref", ignore_errors=True)  # the adapter that the divergence was measured from
        models.tokenizer_of(start).save_pretrained(str(target))
        if models.is_tiny(start):
            models.copy_tokenizer(start, target)
