"""The order of an event log: sessions run side by side, and neighbouring events sometimes swap places."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from l2a.synth.draws import Draws

T = TypeVar("T")

OPEN_SESSIONS = 50
SWAPPED = 0.05


def interleave(seed: int, sessions: Iterable[Sequence[T]]) -> Iterator[T]:
    """The items of many sessions, mixed: at most OPEN_SESSIONS at a time, each session's own order nearly kept.

    An item overtakes its predecessor with probability SWAPPED; the first item of a session stays the first.
    """
    draws = Draws(seed, 0, "interleave")
    source = iter(sessions)
    running: list[Iterator[T]] = []
    exhausted = False
    while True:
        while not exhausted and len(running) < OPEN_SESSIONS:
            session = next(source, None)
            if session is None:
                exhausted = True
            else:
                running.append(iter(_swapped(session, draws)))
        if not running:
            return
        place = draws.below(len(running))
        for item in running[place]:
            yield item
            break
        else:
            running[place] = running[-1]
            running.pop()


def _swapped(session: Sequence[T], draws: Draws) -> list[T]:
    items = list(session)
    for place in range(2, len(items)):
        if draws.chance(SWAPPED):
            items[place - 1], items[place] = items[place], items[place - 1]
    return items
