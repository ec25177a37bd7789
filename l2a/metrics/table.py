"""The metric table as a person reads it: a row a condition, a value over its interval in each cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from l2a.metrics.definitions import METRICS

WIDTH = 168
WARN_SHARE = 0.05


def show(rows: Iterable[Mapping[str, Any]], warn_share: float = WARN_SHARE) -> None:
    """Prints rows of `metrics` (of one evaluation) to standard output, conditions by falling TR.

    warn_share: a larger share of ungraded rollouts, or of turns left out, has a warning under the table.
    """
    by_condition: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_condition.setdefault(row["condition"], {})[row["metric"]] = row
    if not by_condition:
        return
    table = number_table("condition", *METRICS, "rollouts", "dialogues", "ungraded", leading=1)

    def total(condition: str) -> float:
        value = by_condition[condition].get("TR", {}).get("value")
        return float("-inf") if value is None else float(value)

    for condition in sorted(by_condition, key=lambda name: (-total(name), name)):
        metrics = by_condition[condition]
        size = metrics.get("TR", {})
        cells = [_cell(metrics.get(name)) for name in METRICS]
        table.add_row(condition, *cells, f"{size.get('n', 0):,}", f"{size.get('n_dialogues', 0):,}", _share(size))
    console = wide_console()
    console.print(table)
    first = next(iter(next(iter(by_condition.values())).values()))
    console.print(
        f"95 % intervals over dialogues. Extractor {first['extractor']}, grader {first['grader']}, "
        f"beta {first['beta']:g}. Left out: {_share(first, 'dropped_share')} of the eval turns.",
        highlight=False,
    )
    for line in warnings(by_condition, warn_share):
        console.print(f"Warning: {line}", highlight=False)


def show_comparisons(rows: Iterable[Mapping[str, Any]]) -> None:
    """Prints rows of `comparisons` (of one evaluation and baseline) to standard output."""
    by_condition: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_condition.setdefault(row["condition"], {})[row["metric"]] = row
    if not by_condition:
        return
    baseline = next(iter(next(iter(by_condition.values())).values()))["baseline"]
    table = number_table(f"minus {baseline}", *METRICS, "dialogues", leading=1)
    for condition, metrics in sorted(by_condition.items()):
        table.add_row(condition, *[_difference(metrics.get(m)) for m in METRICS], f"{metrics['AA']['n_dialogues']:,}")
    console = wide_console()
    console.print(table)
    console.print(
        f"Differences to {baseline} on the turns that both answered, 95 % intervals over dialogues. "
        "+ and - are called higher and lower; without a sign, or under 20 dialogues, no difference is called.",
        highlight=False,
    )


def _difference(row: Mapping[str, Any] | None) -> str:
    if row is None or row["difference"] is None:
        return "-"
    sign = {"higher": " +", "lower": " -"}.get(row["called"], "")
    return f"{row['difference']:.3f}{sign}\n[{row['ci_low']:.2f}, {row['ci_high']:.2f}]"


def warnings(by_condition: Mapping[str, Mapping[str, Mapping[str, Any]]], warn_share: float) -> list[str]:
    """What makes the metrics of an evaluation doubtful, a sentence each. by_condition: condition -> metric -> row."""
    firsts = {condition: next(iter(metrics.values())) for condition, metrics in sorted(by_condition.items())}
    above = [name for name, row in firsts.items() if (row.get("ungraded_share") or 0.0) > warn_share]
    lines = []
    if above:
        listed = ", ".join(f"{name} {_share(firsts[name])}" for name in above)
        lines.append(
            f"more than {warn_share:.0%} of the rollouts have no grade ({listed}): "
            '`l2a sql "SELECT condition, error, count(*) FROM grades WHERE r_a IS NULL GROUP BY ALL"` says why.'
        )
    dropped = next(iter(firsts.values())).get("dropped_share") or 0.0
    if dropped > warn_share:
        lines.append(
            f"{dropped:.1%} of the eval turns are left out, more than {warn_share:.0%}: "
            '`l2a sql "SELECT * FROM drop_reasons"` says why.'
        )
    return lines


def number_table(*columns: str, leading: int = 0) -> Table:
    """An empty table: the first column holds names, the others numbers."""
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, leading=leading)
    for column in table.columns:
        column.no_wrap = True
        column.justify = "left" if column is table.columns[0] else "right"
    return table


def wide_console() -> Console:
    """On a narrow terminal, and in a pipe, a line that is too long is better than a number that is cut."""
    console = Console()
    return console if console.width >= WIDTH else Console(width=WIDTH)


def _share(row: Mapping[str, Any], name: str = "ungraded_share") -> str:
    share = row.get(name)
    return "-" if share is None else f"{share:.1%}"


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return "-"
    if row["ci_low"] is None:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f}\n[{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
