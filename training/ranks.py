"""Several processes of one training (`accelerate launch`): all of them train, the first one keeps files and records."""

from __future__ import annotations

import datetime as dt
import os

LONGEST_WAIT = dt.timedelta(hours=12)
"""How long processes wait for each other. NCCL's own default is ten minutes."""


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

    # The first one downloads and saves models of many gigabytes, and may wait for another training's stage.
    PartialState(timeout=LONGEST_WAIT).wait_for_everyone()
