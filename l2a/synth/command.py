"""`l2a synth`: made-up production logs with known truth, for demos, tests and benchmarks.

l2a synth --dialogues 600 --output logs.jsonl.gz --truth truth.jsonl
l2a synth --dialogues 20000 --nights 30 --landing landing --bad-share 0.01
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click

from l2a.errors import UsageError
from l2a.options import Command
from l2a.synth.nights import write_nights
from l2a.synth.spec import FORMATS, LogSpec
from l2a.synth.write import Progress, write_log

SHARE = click.FloatRange(0, 1)
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
AT_LEAST_1 = click.IntRange(min=1)
REPEATS = {"correction_share": 0.02, "late_share": 0.01, "duplicate_share": 0.01}
SECONDS_BETWEEN_LINES = 5.0


@click.command("synth", cls=Command)
@click.option(
    "--dialogues",
    type=click.IntRange(min=0),
    default=600,
    show_default=True,
    help="Dialogues; with --nights, new ones each night.",
)
@click.option("--output", type=FILE, help="The log; compressed if the name ends in .gz.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same bytes.")
@click.option(
    "--format",
    "log_format",
    type=click.Choice(FORMATS),
    default="native",
    show_default=True,
    help="native: a dialogue a line; events: a message a row, sessions mixed; openai: chats with tool calls.",
)
@click.option(
    "--truth",
    type=FILE,
    help="What is true about the log: facts, what was asked in vain, which lines are repeats or broken.",
)
@click.option("--domain", "domains", multiple=True, help="Only this domain; may be given several times. [all]")
@click.option("--failed-share", type=SHARE, default=0.12, show_default=True, help="Dialogues with outcome failure.")
@click.option("--correction-share", type=SHARE, help="Sessions that appear again, newer and changed. [0.02; events: 0]")
@click.option("--late-share", type=SHARE, help="Sessions whose older version arrives later. [0.01; events: 0]")
@click.option("--duplicate-share", type=SHARE, help="Sessions whose line appears twice. [0.01; events: 0]")
@click.option(
    "--bad-share",
    type=SHARE,
    default=0.0,
    show_default=True,
    help="Broken lines among all lines (0.5: as many as good ones).",
)
@click.option("--oversize-bytes", type=AT_LEAST_1, help="One more kind of broken line: a message of that many bytes.")
@click.option(
    "--start", type=click.DateTime(["%Y-%m-%d"]), default="2026-11-01", show_default=True, help="First day, UTC."
)
@click.option("--days", type=AT_LEAST_1, help="Days over which the dialogues of --output are spread. [28]")
@click.option("--nights", type=AT_LEAST_1, help="Write so many nightly logs into --landing instead of one --output.")
@click.option("--landing", type=FOLDER, help="Folder of the nightly logs: LANDING/dt=YYYY-MM-DD/part-0.jsonl.")
def command(
    dialogues: int,
    output: Path | None,
    seed: int,
    log_format: str,
    truth: Path | None,
    domains: tuple[str, ...],
    failed_share: float,
    correction_share: float | None,
    late_share: float | None,
    duplicate_share: float | None,
    bad_share: float,
    oversize_bytes: int | None,
    start: datetime,
    days: int | None,
    nights: int | None,
    landing: Path | None,
) -> None:
    """Make up production logs of any size, with known truth beside them.

    Standard output gets a summary (JSON): what the log holds, and how an ingestion must count it.
    """
    if (output is None) == (landing is None):
        raise UsageError("Say where to write: --output FILE, or --landing FOLDER with --nights.")
    if (nights is None) != (landing is None):
        raise UsageError("--nights and --landing go together.")
    if nights and days:
        raise UsageError("--days spreads the dialogues of one --output; each of the --nights is one day.")
    given = {"correction_share": correction_share, "late_share": late_share, "duplicate_share": duplicate_share}
    usual = REPEATS if log_format != "events" else dict.fromkeys(REPEATS, 0.0)
    spec = LogSpec(
        dialogues=dialogues,
        seed=seed,
        format=log_format,
        domains=domains,
        failed_share=failed_share,
        bad_share=bad_share,
        oversize_bytes=oversize_bytes,
        start=start.date(),
        days=days or 28,
        **{name: usual[name] if share is None else share for name, share in given.items()},
    )
    with _progress(dialogues * (nights or 1)) as progress:
        if landing and nights:
            summaries = write_nights(spec, landing, nights, truth=truth, progress=progress)
            result: object = {day: summary.as_dict(one_run=False) for day, summary in summaries.items()}
            where, lines = landing, sum(summary.lines for summary in summaries.values())
        else:
            assert output is not None  # either of the two is given
            summary = write_log(spec, output, truth=truth, progress=progress)
            result, where, lines = summary.as_dict(), output, summary.lines
    beside = f", what is true about them to {truth}" if truth else ""
    click.echo(f"Wrote {lines:,} lines to {where}{beside}.", err=True)
    click.echo(json.dumps(result, indent=2))


@contextmanager
def _progress(total: int) -> Iterator[Progress]:
    """A bar on a terminal, a line every few seconds elsewhere; both on stderr."""
    if not sys.stderr.isatty():
        yield _PlainLines(total)
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn
    from rich.progress import Progress as Bar

    with Bar(*Bar.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("dialogues", total=total)
        yield lambda done: bar.update(task, completed=done)


class _PlainLines:
    def __init__(self, total: int) -> None:
        self.total = total
        self.next = time.monotonic() + SECONDS_BETWEEN_LINES

    def __call__(self, done: int) -> None:
        if time.monotonic() >= self.next:
            click.echo(f"{done:,} of {self.total:,} dialogues", err=True)
            self.next = time.monotonic() + SECONDS_BETWEEN_LINES
