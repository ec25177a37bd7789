"""Every setting of l2a, typed, with its default and its meaning.

A value comes from, strongest first: an option of the command, the environment (`L2A_WAREHOUSE`, `L2A_SPARK__MASTER`:
two underscores lead into a section), the file given by `--config` (or `L2A_CONFIG`, or `./l2a.toml` if there is one),
the default. `l2a.toml.example` is made from this package by `python -m l2a.settings`.
"""

from l2a.settings.loading import Settings, load, training_folder
from l2a.settings.sections import (
    EvaluateSettings,
    IngestSettings,
    JudgeSettings,
    LauncherSettings,
    NightlySettings,
    ObjectiveSettings,
    RetrainSettings,
    SparkSettings,
)

__all__ = [
    "EvaluateSettings",
    "IngestSettings",
    "JudgeSettings",
    "LauncherSettings",
    "NightlySettings",
    "ObjectiveSettings",
    "RetrainSettings",
    "Settings",
    "SparkSettings",
    "load",
    "training_folder",
]
