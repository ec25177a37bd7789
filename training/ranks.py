"""Several processes of one training (`accelerate launch`): all of them train, the first one keeps files and records."""

from __future__ import annotations

import datetime as dt
import os

LONGEST_WAIT = dt.timedelta(hours=12)
"""How long processes wait for each other. NCCL's own default is ten minutes."""


def world_size() -> int:
    """Processes of this training, each with a device of its own."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this one is, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_main() -> bool:
    """Whether this process is the one that writes."""
    return rank() == 0


def take_one_device() -> None:
    """Leaves a training of one process one GPU, the first that it may see: the trainers would spread it over all of
    them in a way that they then refuse. Called before anything looks for GPUs; several: `accelerate launch`."""
    if world_size() == 1:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES")
        os.environ["CUDA_VISIBLE_DEVICES"] = "0" if seen is None else seen.split(",")[0]


def barrier() -> None:
    """Waits for the other processes, where there are some."""
    if world_size() == 1:
        return
    from accelerate import PartialState

    # The first one downloads and saves models of many gigabytes, and may wait for another training's stage.
    PartialState(timeout=LONGEST_WAIT).wait_for_everyone()
