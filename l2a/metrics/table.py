"""The metric table as a person reads it: a row a condition, a value over its interval in each cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from l2a.metrics.definitions import METRICS

WIDTH = 148


def show(rows: Iterable[Mapping[str, Any]]) -> None:
    """Prints rows of `metrics` (of one evaluation) to standard output, conditions by falling TR."""
    by_condition: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_condition.setdefault(row["condition"], {})[row["metric"]] = row
    if not by_condition:
        return
    table = Table("condition", *METRICS, "rollouts", "dialogues", box=box.SIMPLE_HEAD, pad_edge=False, leading=1)
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
        column.no_wrap = True

    def total(condition: str) -> float:
        value = by_condition[condition].get("TR", {}).get("value")
        return float("-inf") if value is None else float(value)

    for condition in sorted(by_condition, key=lambda name: (-total(name), name)):
        metrics = by_condition[condition]
        size = metrics.get("TR", {})
        cells = [_cell(metrics.get(name)) for name in METRICS]
        table.add_row(condition, *cells, f"{size.get('n', 0):,}", f"{size.get('n_dialogues', 0):,}")
    console = Console()
    # On a narrow terminal, and in a pipe, a line that is too long is better than a number that is cut.
    console = console if console.width >= WIDTH else Console(width=WIDTH)
    console.print(table)
    first = next(iter(next(iter(by_condition.values())).values()))
    console.print(
        f"95 % intervals over dialogues. Extractor {first['extractor']}, grader {first['grader']}, "
        f"beta {first['beta']:g}.",
        highlight=False,
    )


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return "-"
    if row["ci_low"] is None:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f}\n[{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
