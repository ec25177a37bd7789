"""General capability of a model: what its training logged, and tasks of lm-evaluation-harness where some are set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from l2a.errors import EnvironmentProblem, UsageError
from l2a.progress import say
from l2a.promotion.rule import Capability
from l2a.registry import ADAPTER, Registry, Version

PERPLEXITY = "heldout_perplexity"
"""Metric of a training's run in MLflow: perplexity of held-out ordinary text of the logs."""


def capability(registry: Registry, version: Version, tasks: Sequence[str]) -> Capability:
    """Of a registered version. Raises EnvironmentProblem where tasks are set and the harness is not installed, and
    UsageError for a task that it does not know.
    """
    measured = task_scores(registry.fetch(version), version, tasks) if tasks else {}
    return Capability(registry.metric(version, PERPLEXITY), measured)


def task_scores(folder: Path, version: Version, tasks: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Runs the tasks on the model in `folder`: "task metric" -> value and standard error, of metrics that have one and
    of which more is better."""
    try:
        import lm_eval
    except ImportError:
        raise EnvironmentProblem(
            "lm_eval_tasks are set in section [train], and lm-evaluation-harness is not installed: "
            "`pip install lm-eval`, or take the tasks out."
        ) from None
    arguments = f"pretrained={folder}"
    if version.kind == ADAPTER:
        arguments = f"pretrained={version.base},peft={folder}"
    say(f"promote: {', '.join(tasks)} on {version.title}")
    try:
        found = lm_eval.simple_evaluate(model="hf", model_args=arguments, tasks=list(tasks), random_seed=0)
    except (KeyError, ValueError) as error:
        raise UsageError(f"lm-evaluation-harness cannot run {', '.join(tasks)}: {error}") from None
    return scores_in(found or {})


def scores_in(found: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """The scores in a result of `lm_eval.simple_evaluate`, whose metrics are named `metric,filter`."""
    scores = {}
    for task, values in found.get("results", {}).items():
        better = found.get("higher_is_better", {}).get(task, {})
        for name, value in values.items():
            metric, _, kind = name.partition(",")
            error = values.get(f"{metric}_stderr,{kind}")
            if isinstance(value, (int, float)) and isinstance(error, (int, float)) and better.get(metric, True):
                scores[f"{task} {name}"] = float(value), float(error)
    return scores
