"""The lines of a log, one after the other, each with what is true about it.

Nothing is kept but the numbers of the sessions that are still to come again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from l2a.synth.broken import broken_kinds
from l2a.synth.conversation import first_version
from l2a.synth.dialogue import MadeDialogue
from l2a.synth.events import interleave
from l2a.synth.forms import Document, encode, event_rows, native_text, openai
from l2a.synth.spec import LogSpec
from l2a.synth.versions import CORRECTION, LATE, fate, revise

FIRST, MORE, BROKEN = "first", "more", "broken"

RETURNS_WITHIN = 200
"""A session that appears twice does so within so many dialogues, or at the end of the log."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a log."""

    line: bytes
    """Without its line end."""
    kind: str
    """first, correction, late, duplicate, broken; in an event log also more: a further row of a session."""
    dialogue: MadeDialogue | None = None
    """What the line holds or, in an event log, begins; None for more and broken."""
    broken: str | None = None
    """The kind of a broken line."""


def lines(spec: LogSpec) -> Iterator[bytes]:
    """The log's lines, without line ends."""
    return (entry.line for entry in entries(spec))


def entries(spec: LogSpec) -> Iterator[Entry]:
    """The log, line by line, in constant memory."""
    return with_broken(spec, _events(spec) if spec.format == "events" else _dialogues(spec))


def entry_of(spec: LogSpec, made: MadeDialogue, kind: str) -> Entry:
    """The line that holds this dialogue."""
    text = encode(openai(made)) if spec.format == "openai" else native_text(made)
    return Entry(text.encode(), kind, made)


def with_broken(spec: LogSpec, good: Iterable[Entry], begin: int = 0) -> Iterator[Entry]:
    """The good lines with the broken ones spread evenly between them. The kinds go round.

    Args:
        begin: number of the first broken line in the series of all broken lines of this seed.
    """
    bad, per_good = spec.bad_ratio
    kinds = broken_kinds(spec)
    written = 0
    for count, entry in enumerate(good, start=1):
        yield entry
        while written < count * bad // per_good:
            number = begin + written
            kind = kinds[number % len(kinds)]
            # Series "x": a broken line names no session of the good ones.
            document = _good_document(spec, first_version(spec, number, "x"))
            yield Entry(kind.make(document, number), BROKEN, broken=kind.name)
            written += 1


def _good_document(spec: LogSpec, made: MadeDialogue) -> Document:
    """What a broken line starts from."""
    if spec.format == "openai":
        return openai(made)
    if spec.format == "events":
        return next(row for row in event_rows(made) if row["role"] == "user")
    document: Document = json.loads(native_text(made))
    return document


def _dialogues(spec: LogSpec) -> Iterator[Entry]:
    coming: list[tuple[int, int, str]] = []  # (place, index, kind) of the sessions that appear again
    for index in range(spec.dialogues):
        made = first_version(spec, index)
        again, delay = fate(spec, index)
        yield entry_of(spec, revise(made, spec.seed, index) if again == LATE else made, FIRST)
        if again:
            heappush(coming, (index + 1 + delay % RETURNS_WITHIN, index, again))
        while coming and coming[0][0] <= index:
            yield _again(spec, heappop(coming))
    while coming:
        yield _again(spec, heappop(coming))


def _again(spec: LogSpec, coming: tuple[int, int, str]) -> Entry:
    _, index, kind = coming
    made = first_version(spec, index)
    return entry_of(spec, revise(made, spec.seed, index) if kind == CORRECTION else made, kind)


def _events(spec: LogSpec) -> Iterator[Entry]:
    sessions = (
        [(row, made if place == 0 else None) for place, row in enumerate(event_rows(made))]
        for made in (first_version(spec, index) for index in range(spec.dialogues))
    )
    for row, made in interleave(spec.seed, sessions):
        yield Entry(encode(row).encode(), FIRST if made else MORE, made)
