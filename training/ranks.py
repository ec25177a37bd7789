"""Several processes of one training (`accelerate launch`): all of them train, the first one keeps files and records."""

from __future__ import annotations

import os


def world_size() -> int:
    """Processes of this training, each with a device of its own."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Whether this process is the one that writes."""
    return os.environ.get("RANK", "0") == "0"


def barrier() -> None:
    """Waits for the other processes, where there are some."""
    if world_size() == 1:
        return
    from accelerate import PartialState

    PartialState().wait_for_everyone()
