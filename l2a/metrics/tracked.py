"""What an evaluation found, in MLflow too: on the runs of the models that it is about, and on their cards.

A metric's name there holds who judged and, where it is not the published 2, beta: values of different judges are points
of different curves. The tables are what counts; this is for who looks at models in MLflow.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from l2a.conditions import BUILT_IN, GREEDY
from l2a.errors import L2AError
from l2a.metrics.definitions import METRICS
from l2a.progress import say
from l2a.registry import Registry
from l2a.settings import EvaluateSettings, Settings

Row = Mapping[str, Any]
PUBLISHED_BETA = EvaluateSettings.model_fields["beta"].default
ENDS = {"value": "", "ci_low": "_ci_low", "ci_high": "_ci_high"}


def track(settings: Settings, rows: Iterable[Row], model_versions: Mapping[str, set[str]]) -> None:
    """Rows of `metrics` of one evaluation, each on the registered model that its condition was answered by.

    model_versions: of each condition's graded rollouts. A condition of several is left out and said, as is an MLflow
    that cannot be asked: the evaluation stands in the tables whatever happens here, and the next one tries again.
    """
    by_condition = defaultdict(list)
    for row in rows:
        if row["condition"] not in BUILT_IN:
            by_condition[row["condition"]].append(row)
    if not by_condition:
        return
    try:
        registry = Registry.open(settings)
        for condition, found in sorted(by_condition.items()):
            _track(registry, condition, found, model_versions.get(condition, set()))
    except L2AError as error:
        say(f"evaluate: the metrics are in the tables, but not in MLflow: {error}")


def _track(registry: Registry, condition: str, rows: list[Row], model_versions: set[str]) -> None:
    name = condition.removesuffix(GREEDY)
    known = {version.model_version: version for version in registry.versions(name)}
    if not known:
        return  # a policy behind an endpoint that somebody else trained
    answered = [known[version] for version in model_versions if version in known]
    if len(model_versions) != 1 or not answered:
        say(
            f"evaluate: the metrics of {condition} are not in MLflow: its graded rollouts are of the versions "
            f"{', '.join(sorted(model_versions))}, and not of one registered model. Roll it out again."
        )
        return
    rows = sorted(rows, key=lambda row: list(METRICS).index(row["metric"]))
    values = dict(_values(rows, greedy=condition != name))
    registry.measured(answered[0], values, rows[0]["created_at"], None if condition != name else _told(rows))


def _values(rows: list[Row], *, greedy: bool) -> Iterator[tuple[str, float]]:
    """Points by MLflow's names; a metric that nothing could be counted for has none."""
    for row in rows:
        judges = "/".join(dict.fromkeys((row["extractor"], row["grader"])))
        beta = "" if row["beta"] == PUBLISHED_BETA else f"_beta{row['beta']:g}"
        prefix = re.sub(r"[^\w\-. /]", "_", f"eval{'_greedy' if greedy else ''}/{judges}/{row['metric']}{beta}")
        yield from ((prefix + end, row[column]) for column, end in ENDS.items() if row[column] is not None)


def _told(rows: list[Row]) -> str:
    first = rows[0]
    lines = [
        f"Extractor {first['extractor']}, grader {first['grader']}, beta {first['beta']:g}, evaluation "
        f"{first['evaluation_id']}, {first['created_at']:%Y-%m-%d}. 95 % intervals over dialogues.",
        "",
        "| metric | value | interval | rollouts | dialogues |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        number = ["-" if row[column] is None else f"{row[column]:.3f}" for column in ENDS]
        lines.append(
            f"| {row['metric']} | {number[0]} | {number[1]} to {number[2]} | {row['n']:,} | {row['n_dialogues']:,} |"
        )
    return "\n".join(lines)
