"""Short lists of English words that are never values, or never name what is asked for.

They sharpen English logs; logs of other languages stand on what is counted and learnt.
"""

from __future__ import annotations


def _set(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


STOP_WORDS = _set(
    """
    a about actually ah all alright also am an and any are as at be been being but by can can't could did do
    does doing don't done find fine for from get give go going gonna good got great had has have having he hello
    help her hey hi him his hoping how i i'd i'll i'm i've if in interested into is it it's its i’d i’ll i’m
    just kind know let let's like likely look looking lot make may maybe me might mine mr mrs ms my need needs
    of oh ok okay on or our out please possible prefer preferably probably really right say searching she should
    so some something somewhere sorry sort sure take tell than thank thanks that that's the their them then
    there there's these they thing think this those to too trying uh um us use very wanna want wanted was we
    we'd we'll we're well were what when where which who why will with would yeah yep yes you you'd your yours
    """
)
"""Function words and the usual words of asking for help."""

NAMELESS_WORDS = STOP_WORDS | _set(
    """
    correct moment second minute hold proceed assist information
    able already anything ask called currently describe detailed else enter exactly first kindly long many mind
    much now particular preference preferred provide question second share specific specify state time's today
    using wanting whether wish would'd
    """
)
"""Words of a question that do not say what it asks for."""

EMPTY_WORDS = _set(
    """
    absolutely actually anything awesome can't certainly cool correct couldn't course definitely didn't doesn't
    don't everything forgot haha hmm idea isn't lol matter nah never nevermind nice no none nope not nothing now
    oops perfect remember thank thanks ugh wait wasn't welcome whatever won't wonderful wow
    """
)
"""Fillers, thanks, yes and no: words of a reply that are no value by themselves."""

KINDS = (
    ("how many", "number"),
    ("how much", "amount"),
    ("how long", "duration"),
    ("how old", "age"),
    ("where", "place"),
    ("when", "time"),
    ("who", "person"),
    ("whom", "person"),
)
"""What a question word asks for: "where are you leaving from" is about the leaving place."""
