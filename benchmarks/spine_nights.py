"""Nights on top of a large warehouse: what one more night costs, as a share of the full build, and whether that grows.

The log is BASE_NIGHTS + n landing folders of equal size, so that a night adds 1 % and corrects some dialogues of the
nights before it. The first BASE_NIGHTS are the full build; each further one is ingested and sliced in a fresh process.
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
GROUP = 5


def measure(base: int, nights: int, work: Path, say: Callable[[str], None]) -> list[tuple[str, str, str]]:
    """Rows of the report: what, figures, ratio. base: dialogues of the full build."""
    landing, later, warehouse = work / "landing", work / "later", work / "nights"
    spec = LogSpec(dialogues=base // BASE_NIGHTS, seed=5, **REPEATS)
    days = sorted(write_nights(spec, landing, BASE_NIGHTS + nights))
    later.mkdir()
    for day in days[BASE_NIGHTS:]:
        (landing / f"dt={day}").rename(later / f"dt={day}")
    full = _step(seconds(warehouse, f"ingest={landing}", "slice"))
    say(f"full build of {base:,} dialogues: {full:.1f} s")
    each = []
    for number, day in enumerate(days[BASE_NIGHTS:], start=1):
        taken = seconds(warehouse, f"ingest={later}@{day}", "slice")
        each.append(_step(taken))
        say(f"night {number}: {each[-1]:.1f} s, of which slice {taken['slice']:.1f} s")
    return _report(base, full, each)


def _step(taken: dict[str, float]) -> float:
    """Ingest and slice, without making the session."""
    return taken["ingest"] + taken["slice"]


def _report(base: int, full: float, each: list[float]) -> list[tuple[str, str, str]]:
    rows = [
        (f"night {number} (1 %) / full build of {base:,}", f"{each[number - 1]:.1f} s / {full:.1f} s",
         f"{each[number - 1] / full:.1%}")
        for number in dict.fromkeys((1, len(each)))
    ]  # fmt: skip
    few = min(GROUP, len(each) // 2)
    if few:
        first, last = statistics.median(each[:few]), statistics.median(each[-few:])
        what = f"median of the last {few} of {len(each)} nights / of the first {few}"
        rows.append((what, f"{last:.1f} s / {first:.1f} s", f"{last / first:.2f}"))
    return rows
