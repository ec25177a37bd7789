"""Does the order of the conditions hold under another reward? Rankings, and what changes places between two."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from l2a.metrics.table import number_table, wide_console
from l2a.metrics.what_if import Means, Variant

_TIE = 1e-9  # means that differ by less are the same number, summed in another order


def ranking(means: Means) -> list[str]:
    """Conditions by falling mean reward, then by name; those without one last."""
    return sorted(means, key=lambda name: (means[name] is None, -(means[name] or 0.0), name))


def swaps(reference: Means, other: Means) -> list[tuple[str, str]]:
    """The pairs of which the first lies above the second in `other`, and below it in `reference`; ties swap nothing."""
    return [
        (above, below) if (_gap(other, above, below) > 0) else (below, above)
        for above, below in combinations(ranking(reference), 2)
        if _gap(reference, above, below) * _gap(other, above, below) < 0
    ]


def _gap(means: Means, one: str, other: str) -> float:
    a, b = means.get(one), means.get(other)
    return 0.0 if a is None or b is None or abs(a - b) < _TIE else a - b


def show_rankings(variants: Sequence[Variant], means: Sequence[Means]) -> None:
    """Prints a row per variant, conditions in the order of the first, and whether that order holds."""
    order = ranking(means[0])
    table = number_table("mean reward if", *order, "order")
    table.columns[-1].justify, table.columns[-1].no_wrap = "left", False
    held = 0
    for variant, found in zip(variants, means, strict=True):
        changed = swaps(means[0], found)
        held += not changed
        verdict = "; ".join(f"{one} above {other}" for one, other in changed) or "holds"
        values = (found.get(name) for name in order)
        table.add_row(str(variant), *["-" if value is None else f"{value:.3f}" for value in values], verdict)
    console = wide_console()
    console.print(table)
    others = len(variants) - 1
    if held == len(variants):
        console.print(f"The order of the conditions holds under all {others} other rewards.", highlight=False)
    else:
        console.print(
            f"The order of the conditions changes under {len(variants) - held} of {others} other rewards.",
            highlight=False,
        )
