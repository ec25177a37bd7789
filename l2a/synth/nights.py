"""Logs that grow night by night: LANDING/dt=YYYY-MM-DD/part-0.jsonl, later nights correct earlier ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from l2a.errors import UsageError
from l2a.synth.conversation import first_version
from l2a.synth.dialogue import MadeDialogue
from l2a.synth.entries import FIRST, Entry, entry_of, with_broken
from l2a.synth.spec import LogSpec
from l2a.synth.versions import CORRECTION, LATE, fate, revise
from l2a.synth.write import Progress, Summary, replacing, write_entries

RETURNS_WITHIN_NIGHTS = 5
_HOUR = 3_600


def night_entries(spec: LogSpec, night: int) -> Iterator[Entry]:
    """The lines that land on night `night` (from 0): `spec.dialogues` new sessions, then those that appear again.

    A session appears again one to RETURNS_WITHIN_NIGHTS nights later. Every night can be made by itself.

    Raises:
        UsageError: the spec asks for an event log.
    """
    if spec.format == "events":
        raise UsageError("Nights are made of whole dialogues: choose the native or the openai format.")
    good = _good(spec, night)
    most = (1 + RETURNS_WITHIN_NIGHTS) * spec.dialogues  # good lines that one night can hold
    bad, per_good = spec.bad_ratio
    return with_broken(_of(spec, night), good, begin=night * (most * bad // per_good + 1))


def write_nights(
    spec: LogSpec, landing: Path, nights: int, *, truth: Path | None = None, progress: Progress | None = None
) -> dict[str, Summary]:
    """Writes `nights` nights from `spec.start` on, `spec.dialogues` new dialogues each; `spec.days` has no part in it.

    Args:
        truth: as in `write_log`; every row has the `night` on which its line landed.
        progress: called with the number of new dialogues over all nights.

    Returns:
        The summary of each night by its date; `expected(one_run=False)` holds when nights are ingested in order.

    Raises:
        UsageError: no nights are asked for, an event log is, or a file cannot be written.
    """
    if nights < 1:
        raise UsageError(f"The number of nights must be 1 or more, not {nights}.")
    summaries: dict[str, Summary] = {}
    with ExitStack() as stack:
        truth_file = stack.enter_context(replacing(truth)) if truth else None
        for night in range(nights):
            count = _counting_from(night * spec.dialogues, progress)
            day = _day(spec, night).isoformat()
            log = night_entries(spec, night)
            with replacing(landing / f"dt={day}" / "part-0.jsonl") as output:
                summaries[day] = write_entries(log, output, truth_file, labels={"night": day}, progress=count)
    return summaries


def _counting_from(done: int, progress: Progress | None) -> Progress | None:
    return (lambda count: progress(done + count)) if progress else None


def _day(spec: LogSpec, night: int) -> date:
    return spec.start + timedelta(days=night)


def _of(spec: LogSpec, night: int) -> LogSpec:
    return replace(spec, start=_day(spec, night), days=1)


def _good(spec: LogSpec, night: int) -> Iterator[Entry]:
    tonight = _of(spec, night)
    for index in range(night * spec.dialogues, (night + 1) * spec.dialogues):
        made = first_version(tonight, index)
        if fate(spec, index)[0] == LATE:
            made = revise(made, spec.seed, index, not_before=made.updated_at + 60, within=_HOUR)
        yield entry_of(spec, made, FIRST)
    for earlier in range(max(0, night - RETURNS_WITHIN_NIGHTS), night):
        for index in range(earlier * spec.dialogues, (earlier + 1) * spec.dialogues):
            again, delay = fate(spec, index)
            if again and earlier + 1 + delay % RETURNS_WITHIN_NIGHTS == night:
                made = first_version(_of(spec, earlier), index)
                yield entry_of(spec, _corrected(tonight, made, index) if again == CORRECTION else made, again)


def _corrected(tonight: LogSpec, made: MadeDialogue, index: int) -> MadeDialogue:
    # From two in the morning on: a dialogue that began late on the day before has ended by then.
    return revise(made, tonight.seed, index, not_before=tonight.start_second + 2 * _HOUR, within=20 * _HOUR)
