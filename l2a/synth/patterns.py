"""The small language in which domain files write values: literal text with slots in braces.

    {city}     one item of a word list; items may hold slots themselves; named twice, two different items
    {3-17}     a whole number, both ends included
    {@@ ###}   a mask: @ a capital letter, # a digit, a space itself

Which makes values that look alike and rarely repeat, without a line of code in a domain file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from l2a.synth.draws import Draws

Maker = Callable[[Draws], str]

_SLOT = re.compile(r"\{([^{}]+)\}")
_RANGE = re.compile(r"(\d+)-(\d+)")
_MASK = re.compile(r"[@# ]+")
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"  # no I, O, Q: people misread them, so plates and codes avoid them


def compile_pattern(pattern: str, lists: Mapping[str, Sequence[str]]) -> Maker:
    """What makes texts of this pattern.

    Raises:
        ValueError: a slot is neither a range, nor a mask, nor the name of a list; or its list is too short.
    """
    pieces = _SLOT.split(pattern)  # literal, slot, literal, slot, ..., literal
    if len(pieces) == 1:
        return lambda draws: pattern
    slots = pieces[1::2]
    makers = [_slot(slot, lists) for slot in slots]
    if len(makers) == 1:
        head, only, tail = pieces[0], makers[0], pieces[2]
        return lambda draws: head + only(draws) + tail
    template = "%s".join(literal.replace("%", "%%") for literal in pieces[0::2])
    twice = [place for place, slot in enumerate(slots) if slot in lists and slots.count(slot) > 1]
    for slot in (slots[place] for place in twice):
        if len(set(lists[slot])) < slots.count(slot):
            raise ValueError(f"{pattern!r} wants more different items than the list {slot!r} holds")

    def make(draws: Draws) -> str:
        values = [maker(draws) for maker in makers]
        while len({values[place] for place in twice}) < len(twice):
            values = [maker(draws) for maker in makers]
        return template % tuple(values)

    return make


def _slot(slot: str, lists: Mapping[str, Sequence[str]]) -> Maker:
    if match := _RANGE.fullmatch(slot):
        low, count = int(match[1]), int(match[2]) - int(match[1]) + 1
        if count < 1:
            raise ValueError(f"empty range {{{slot}}}")
        return lambda draws: str(low + draws.below(count))
    if _MASK.fullmatch(slot):
        return _mask(slot)
    if slot not in lists:
        raise ValueError(f"no list named {slot!r}; there are {', '.join(sorted(lists))}")
    items = lists[slot]
    if any("{" in item for item in items):
        makers = [compile_pattern(item, lists) for item in items]
        return lambda draws: draws.choose(makers)(draws)
    return lambda draws: draws.choose(items)


def _mask(mask: str) -> Maker:
    runs = re.findall(r"#{1,9}|@| +", mask)  # nine digits fit into one draw

    def piece(draws: Draws, run: str) -> str:
        if run[0] == "#":
            return f"{draws.below(10 ** len(run)):0{len(run)}d}"
        return draws.choose(_LETTERS) if run == "@" else run

    return lambda draws: "".join([piece(draws, run) for run in runs])
