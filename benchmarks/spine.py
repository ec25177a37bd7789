"""Ingestion and slicing: two cores against one, built-in columns against Python, bytes, and nights.

    python -m benchmarks.spine                                              # a smoke test of minutes
    python -m benchmarks.spine --dialogues 1000000 --base 2000000 --nights 30   # the figures to report
    python -m benchmarks.spine --dialogues 0 --base 2000000 --nights 30         # of them, those of the nights

Ratios in one run on made-up logs, both sides printed, with the load of the machine before and after: on a machine that
does other work at the same time they say little. Every timed side has a process of its own with a driver of 3 GB;
seconds are those of the steps, without making the Spark session.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from benchmarks import spine_nights, spine_plain
from benchmarks.spine_process import DRIVER_MEMORY, seconds
from l2a.synth import LogSpec, write_log

Row = tuple[str, str, str]
"""What is compared, both sides, their ratio."""


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main(dialogues: int, base: int, nights: int, work: Path) -> None:
    """Measures in `work`, which needs about 4 KB a dialogue, and prints the table."""
    print(f"{os.cpu_count()} cores, driver of {DRIVER_MEMORY}, {_load()}")
    rows: list[Row] = []
    if dialogues:
        log = work / "logs.jsonl"
        summary = write_log(LogSpec(dialogues=dialogues, seed=5, **spine_nights.REPEATS), log)
        say(f"{summary.lines:,} lines, {summary.size / 1e6:,.0f} MB")
        rows += [*_cores(log, dialogues, work), *_slicing(work / "two"), *_bytes(work / "two"), *_plain(log, work)]
    if nights:
        rows += spine_nights.measure(base, nights, work, say)
    width = max((len(what) for what, _, _ in rows), default=0)
    for what, sides, ratio in rows:
        print(f"{what:{width}}  {sides:>28}  {ratio:>10}")
    print(_load())


def _cores(log: Path, dialogues: int, work: Path) -> list[Row]:
    """Ingest and slice with two cores, on one core, and with one task at a time where the JVM has both cores."""
    two = seconds(work / "two", f"ingest={log}", "slice", tasks=2, cores=2)
    say(f"two cores: {two}")
    one = seconds(work / "one", f"ingest={log}", "slice", tasks=1, cores=1)
    say(f"one core: {one}")
    single = seconds(work / "single", f"ingest={log}", "slice", tasks=1, cores=2)
    say(f"one task at a time: {single}")
    both_steps = [taken["ingest"] + taken["slice"] for taken in (one, single, two)]
    return [
        _ratio("ingest: one core / two cores", one["ingest"], two["ingest"]),
        _ratio("slice: one core / two cores", one["slice"], two["slice"]),
        _ratio("ingest and slice: one core / two cores", both_steps[0], both_steps[2]),
        _ratio("  local[1] with a second core for the JVM's own threads / local[2]", both_steps[1], both_steps[2]),
        ("ingest and slice with two cores: dialogues a second", f"{dialogues / both_steps[2]:,.0f}", ""),
        ("Spark's own start-up (in no other figure)", f"{two['session']:.1f} s", ""),
    ]


def _slicing(warehouse: Path) -> list[Row]:
    """The slicing rule over the table `dialogues`, written nowhere. Each way runs twice; the second counts."""
    taken = seconds(warehouse, *(["read", "built-in", "udf-roles", "udf-messages"] * 2))
    say(f"slicing: {taken}")
    return [
        _ratio("slicing: row-wise Python UDF on messages / built-in", taken["udf-messages"], taken["built-in"]),
        _ratio("slicing: row-wise Python UDF on roles only / built-in", taken["udf-roles"], taken["built-in"]),
        ("  reading alone, which is in all three", f"{taken['read']:.1f} s", ""),
    ]


def _ratio(what: str, first: float, second: float) -> Row:
    return what, f"{first:.1f} s / {second:.1f} s", f"{first / second:.2f}"


def _bytes(warehouse: Path) -> list[Row]:
    turns, dialogues = (_active_bytes(warehouse / name) for name in ("turns", "dialogues"))
    sides = f"{turns / 1e6:.2f} MB / {dialogues / 1e6:.2f} MB"
    return [("bytes of turns / bytes of dialogues (files of the newest version)", sides, f"{turns / dialogues:.3f}")]


def _active_bytes(table: Path) -> int:
    import pyarrow as pa
    from deltalake import DeltaTable

    return int(sum(pa.table(DeltaTable(str(table)).get_add_actions(flatten=True))["size_bytes"].to_pylist()))


def _plain(log: Path, work: Path) -> list[Row]:
    """One Python process that only splits. Spark's steps also check, version, deduplicate and commit."""
    rows = []
    for name, texts in (("positions", False), ("texts", True)):
        taken, turns = spine_plain.split(log, work / "plain.jsonl", texts=texts)
        size = (work / "plain.jsonl").stat().st_size
        rows.append((f"plain Python splitter, one process, writing {name}", f"{taken:.1f} s, {size / 1e6:,.1f} MB", ""))
        say(f"plain splitter, {name}: {taken:.1f} s, {turns:,} turns")
    return rows


def _load() -> str:
    return "load of the machine (1, 5, 15 minutes): " + ", ".join(f"{value:.1f}" for value in os.getloadavg())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dialogues",
        type=int,
        default=20_000,
        help="dialogues that are ingested and sliced; 0: leave them out [20000]",
    )
    parser.add_argument("--base", type=int, default=20_000, help="dialogues before the first night [20000]")
    parser.add_argument("--nights", type=int, default=4, help="nights on top; 0: leave them out [4]")
    parser.add_argument("--work", type=Path, help="an empty folder to work in [a temporary one]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.work, prefix="spine-") as folder:
        main(arguments.dialogues, arguments.base, arguments.nights, Path(folder))
