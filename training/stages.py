"""A stage makes one model folder, once: kill it anywhere and run it again, and it goes on from its last checkpoint.

    stage = Stage(root, "sft", identity)
    stage.run(lambda checkpoints, model: ...)     # nothing happens where stage.model is there

The folder's name holds a digest of all that the model depends on (data, recipe, seed, where it starts), so conditions
that start alike share their first stages. A model folder is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2a.errors import EnvironmentProblem
from l2a.progress import bar, say
from training import models
from training.locks import held
from training.ranks import barrier, is_main

COMPLETE = "complete"
"""Marks a checkpoint that was written to its end."""
_HALF = ".model-"
"""What the folder of a model is called while it is written."""


@dataclass(frozen=True)
class Stage:
    """identity: whatever the model depends on, as JSON takes it."""

    root: Path
    name: str
    identity: Any

    @property
    def digest(self) -> str:
        text = json.dumps([self.name, self.identity], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def folder(self) -> Path:
        return self.root / "stages" / f"{self.name}-{self.digest}"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def facts(self) -> dict[str, Any]:
        """What the stage told about itself: steps, seconds, counts."""
        return dict(json.loads((self.model / "l2a.json").read_text(encoding="utf-8")))

    def run(self, work: Callable[[Path, Path], dict[str, Any]]) -> None:
        """`work(checkpoints, model)` writes the model into the second folder and tells facts about it.

        Raises EnvironmentProblem when the disk is full; finished checkpoints stay.
        """
        # Conditions that start alike make this stage once, whoever comes first.
        alone = (
            held(self.folder.parent / f"{self.folder.name}.lock", self._waits)
            if is_main()
            else contextlib.nullcontext()
        )
        with alone:
            if is_main():
                self._clean_up()
            barrier()  # all processes of a training find the same
            if self.model.is_dir():
                say(f"train {self.name}: made already")
            else:
                self._make(work)

    def _clean_up(self) -> None:
        """Removes the halves of models that killed trainings left: nobody else is at work here."""
        for half in self.folder.glob(f"{_HALF}*"):
            shutil.rmtree(half, ignore_errors=True)

    def _waits(self) -> None:
        say(f"train {self.name}: another training makes the same stage, waiting for it")

    def _make(self, work: Callable[[Path, Path], dict[str, Any]]) -> None:
        checkpoints = self.folder / "checkpoints"
        checkpoints.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=_HALF, dir=self.folder))
        try:
            facts = work(checkpoints, made)
            models.release()
            if is_main():
                (made / "l2a.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
                os.sync()  # a machine that goes down now must not leave a model of empty files
                os.replace(made, self.model)
            barrier()
        except Exception as error:
            if disk_full(error):
                last = last_checkpoint(checkpoints)
                kept = f"The checkpoint {last} is whole" if last else "There is no checkpoint yet"
                raise EnvironmentProblem(
                    f"train {self.name}: no space left on the disk of {self.folder}. {kept}: free some space and run "
                    "the same command again, it goes on from there."
                ) from error
            raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
        if is_main():
            shutil.rmtree(checkpoints, ignore_errors=True)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end; halves of others are removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rsplit("-", 1)[1]))
    whole = [path for path in found if (path / COMPLETE).is_file()]
    for path in set(found) - set(whole):
        shutil.rmtree(path, ignore_errors=True)
    return whole[-1] if whole else None


def fit_model(trainer: Any, checkpoints: Path, name: str, log: Callable[[dict[str, float], int], None]) -> int:
    """Trains from the last whole checkpoint on, shows its progress, and gives the number of optimizer steps."""
    from transformers.trainer_callback import PrinterCallback

    last = last_checkpoint(checkpoints)
    if last is not None:
        say(f"train {name}: goes on from {last.name}")
    with bar(f"train {name}") as shown:
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(_callback(shown, log))
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    return int(trainer.state.global_step)


def _callback(shown: Any, log: Callable[[dict[str, float], int], None]) -> Any:
    from transformers import TrainerCallback

    class Follow(TrainerCallback):
        """Marks whole checkpoints, hands on curves, shows progress."""

        def __init__(self) -> None:
            self.note = ""

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.is_world_process_zero:
                target = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                os.sync()
                (target / COMPLETE).touch()

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if state.is_world_process_zero and logs:
                numbers = {key: float(value) for key, value in logs.items() if isinstance(value, (int, float))}
                log(numbers, state.global_step)
                key = "reward" if "reward" in numbers else "loss"
                if key in numbers:
                    self.note = f"{key} {numbers[key]:.3f}"

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            shown.update(state.global_step, state.max_steps, self.note)

    return Follow()


_DISK_FULL = (
    "No space left on device",
    "Disk quota exceeded",
    "PytorchStreamWriter failed",
    "database or disk is full",  # SQLite
)


def disk_full(error: BaseException | None) -> bool:
    """Whether an error came of a disk without space, in the words of all that write here."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(words in str(error) for words in _DISK_FULL):
            return True
        error = error.__cause__ or error.__context__
    return False
