"""Several processes of one training (`accelerate launch`): all of them train, the first one keeps files and records."""

from __future__ import annotations

import os


def is_main() -> bool:
    """Whether this process is the one that writes."""
    return os.environ.get("RANK", "0") == "0"


def barrier() -> None:
    """Waits for the other processes, where there are some."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return
    import torch.distributed as distributed

    if distributed.is_initialized():
        distributed.barrier()
