"""Maximum likelihood of labelled tokens: what pretraining and supervised training share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from training import models
from training.job import Job
from training.recipes import Fitting
from training.rendering import Example
from training.stages import fit_model


def optimize(
    job: Job,
    name: str,
    start: Path,
    examples: list[Example],
    part: Fitting,
    checkpoints: Path,
    target: Path,
    *,
    all_weights: bool = False,
) -> int:
    """Minimizes the loss on the examples' labels from `start` on and saves into `target`; gives the steps.

    all_weights: also where the recipe trains adapters, as a model that knows nothing yet has to.
    """
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    tokenizer = models.tokenizer_of(start)
    tokenizer.padding_side = "right"
    data = Dataset.from_dict(
        {"input_ids": [e.input_ids for e in examples], "labels": [e.labels for e in examples]}
    )  # fmt: skip
    config = SFTConfig(
        **models.trainer_settings(checkpoints, part, job.seed, job.recipe.model.dtype),
        num_train_epochs=part.epochs,
        per_device_train_batch_size=part.batch_size,
        gradient_accumulation_steps=part.accumulation,
        max_length=job.recipe.model.max_length,
    )
    trainer = _by_length(SFTTrainer)(
        model=models.load_for_training(start, job.recipe.model),
        args=config,
        train_dataset=data,
        processing_class=tokenizer,
        peft_config=None if all_weights else models.adapters(start, job.recipe.model),
    )
    steps = fit_model(trainer, checkpoints, name, job.curves(name))
    job.save(trainer, start, target)
    return steps


def _by_length(trainer: type[Any]) -> type[Any]:
    """The trainer with batches of texts that are about as long as each other.

    transformers' own sampler draws an epoch's order from the state of torch, which a training that goes on in the
    middle of the epoch gets back too late: it would see some texts twice and others not at all. Here the order hangs on
    the seed and the epoch alone.
    """
    import torch
    from transformers.trainer_pt_utils import LengthGroupedSampler

    class Sampler(LengthGroupedSampler):
        epoch = 0

        def __init__(self, seed: int, batch: int, lengths: list[int]) -> None:
            super().__init__(batch, lengths=lengths, generator=torch.Generator())
            self.seed = seed

        def set_epoch(self, epoch: int) -> None:
            self.epoch = epoch

        def __iter__(self) -> Any:
            self.generator.manual_seed(self.seed + 1_000_003 * self.epoch)
            return super().__iter__()  # type: ignore[no-untyped-call]

    class Trainer(trainer):
        def _get_train_sampler(self, train_dataset: Any = None) -> Sampler:
            rows = self.train_dataset if train_dataset is None else train_dataset
            batch = self.args.train_batch_size * self.args.gradient_accumulation_steps
            return Sampler(self.args.seed, batch, [len(ids) for ids in rows["input_ids"]])

    return Trainer
