"""Libraries' own bars and messages, which would bury the one line that a person looks for."""

from __future__ import annotations

import logging
import os
import warnings


def quiet() -> None:
    """Silences progress bars of transformers and datasets, and warnings below errors; call before a training."""
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    from datasets.utils.logging import disable_progress_bar
    from transformers.utils import logging as transformers_logging

    disable_progress_bar()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    for name in ("mlflow", "alembic", "trl", "accelerate", "httpx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(trl|transformers|torch|mlflow)(\..*)?")
