"""Maximum likelihood of labelled tokens: what pretraining and supervised training share."""

from __future__ import annotations

from pathlib import Path

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
        train_sampling_strategy="group_by_length",
    )
    trainer = SFTTrainer(
        model=models.load_for_training(start, job.recipe.model),
        args=config,
        train_dataset=data,
        processing_class=tokenizer,
        peft_config=None if all_weights else models.adapters(start, job.recipe.model),
    )
    steps = fit_model(trainer, checkpoints, name, job.curves(name))
    job.save(trainer, start, target)
    return steps
