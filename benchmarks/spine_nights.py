"""Nights on top of a large warehouse: what one more night costs, as a share of the full build, and whether that grows.

The log is BASE_NIGHTS + n landing folders of equal size, so that a night adds 1 % and corrects some dialogues of the
nights before it. The first BASE_NIGHTS are the full build. Of the further ones the first is ingested and sliced in a
fresh process, where most of its time is what Java takes to load and compile Spark's code; the others, in a process that
has done this, one after the other. WARMING of them are let pass before any counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

from benchmarks.spine_process import seconds
from l2a.synth import LogSpec, write_nights

BASE_NIGHTS = 100
"""So that a night is 1 % of the base."""

REPEATS = {"correction_share": 0.02, "late_share": 0.01, "duplicate_share": 0.01}
WARMING = 2
GROUP = 5


def measure(base: int, nights: int, work: Path, say: Callable[[str], None]) -> list[tuple[str, str, str]]:
    """Rows of the report: what, figures, ratio. base: dialogues of the full build."""
    landing, later, warehouse = work / "landing", work / "later", work / "nights"
    spec = LogSpec(dialogues=base // BASE_NIGHTS, seed=5, **REPEATS)
    days = sorted(write_nights(spec, landing, BASE_NIGHTS + nights))
    later.mkdir()
    for day in days[BASE_NIGHTS:]:
        (landing / f"dt={day}").rename(later / f"dt={day}")
    (full,) = _each(warehouse, landing)
    say(f"full build of {base:,} dialogues: {full:.1f} s")
    first, *others = [f"{later}@{day}" for day in days[BASE_NIGHTS:]]
    (fresh,) = _each(warehouse, first)
    say(f"a night in a fresh process: {fresh:.1f} s")
    each = _each(warehouse, *others) if others else []
    say("nights in one process: " + ", ".join(f"{night:.1f}" for night in each) + " s")
    return _report(base, full, fresh, each[WARMING:])


def _each(warehouse: Path, *logs: Path | str) -> list[float]:
    """Seconds of ingest and slice of each, one after the other in a process of its own, without making the session."""
    parts = [f"steps={log}" for log in logs]
    taken = seconds(warehouse, *parts)
    return [taken[part] for part in parts]


def _report(base: int, full: float, fresh: float, each: list[float]) -> list[tuple[str, str, str]]:
    rows = [_share(f"a night (1 %) in a fresh process / full build of {base:,}", fresh, full)]
    if not each:
        return rows
    rows.append(_share(f"a night in a process that took nights before, median of {len(each)} / full build",
                       statistics.median(each), full))  # fmt: skip
    if few := min(GROUP, len(each) // 2):
        first, last = statistics.median(each[:few]), statistics.median(each[-few:])
        what = f"  median of the last {few} of them / of the first {few}"
        rows.append((what, f"{last:.1f} s / {first:.1f} s", f"{last / first:.2f}"))
    return rows


def _share(what: str, part: float, whole: float) -> tuple[str, str, str]:
    return what, f"{part:.1f} s / {whole:.1f} s", f"{part / whole:.1%}"
