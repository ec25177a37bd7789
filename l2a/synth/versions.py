"""Sessions that appear twice: what becomes of a dialogue in its second version, and which dialogues have one."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b

from l2a.dialogue.types import Fact
from l2a.synth.dialogue import MadeDialogue
from l2a.synth.draws import Draws
from l2a.synth.spec import LogSpec

CORRECTION, LATE, DUPLICATE = "correction", "late", "duplicate"


def fate(spec: LogSpec, index: int) -> tuple[str | None, int]:
    """How session `index` appears again (None: not at all), and a number that says how much later."""
    if not spec.repeated_share:
        return None, 0
    number = int.from_bytes(blake2b(f"{spec.seed}/{index}".encode(), digest_size=8).digest(), "big")
    share, delay = (number >> 32) / 2**32, number & 0xFFFFFFFF
    shares = ((CORRECTION, spec.correction_share), (LATE, spec.late_share), (DUPLICATE, spec.duplicate_share))
    for kind, limit in shares:
        if share < limit:
            return kind, delay
        share -= limit
    return None, 0


def revise(
    first: MadeDialogue, seed: int, index: int, *, not_before: int | None = None, within: int = 3 * 86_400
) -> MadeDialogue:
    """Version 2 of a dialogue: with a newer `updated_at`, and a changed value, a question more, or its end cut off.

    Args:
        not_before: second since 1970 from which on it may have been corrected; an hour after version 1 if None.
        within: the correction came so many seconds after that at most.
    """
    draws = Draws(seed, index, "revision")
    made = replace(
        first,
        version=2,
        roles=list(first.roles),
        texts=list(first.texts),
        times=list(first.times),
        facts=list(first.facts),
        volunteered=list(first.volunteered),
        in_vain=list(first.in_vain),
        rounds=list(first.rounds),
        updated_at=(first.updated_at + 3_600 if not_before is None else not_before) + draws.below(within),
    )
    how = draws.below(5)
    if how < 2 and _change_value(made, draws):
        return made
    if how == 2 and len(made.rounds) > 1:
        _cut_last_round(made)
    else:
        _ask_more(made, draws)
    return made


def _change_value(made: MadeDialogue, draws: Draws) -> bool:
    """Another value for a fact that stands alone in its message and that nothing else hangs on."""
    indexes = [fact.message_index for fact in made.facts]
    alone = [
        place
        for place, fact in enumerate(made.facts)
        if indexes.count(fact.message_index) == 1 and fact.attribute not in made.domain.gating
    ]
    if not alone:
        return False
    place = draws.choose(alone)
    old = made.facts[place]
    attribute = next(item for case in made.domain.cases for item in case.ask if item.name == old.attribute)
    value = draws.choose(attribute.makers)(draws)
    if value == old.value:
        return False
    made.texts[old.message_index] = made.texts[old.message_index].replace(old.value, value, 1)
    made.facts[place] = Fact(old.message_index, old.attribute, value)
    return True


def _ask_more(made: MadeDialogue, draws: Draws) -> None:
    """One more question before the closing, which brings nothing new."""
    at = len(made.roles) - 1 if made.roles[-1] == "assistant" else len(made.roles)
    phrases = made.domain.phrases
    made.roles[at:at] = ["assistant", "user"]
    made.texts[at:at] = [draws.choose(phrases.anything_else), draws.choose(phrases.nothing_else)]
    before = made.times[at - 1]
    made.times[at:at] = [before + 1, before + 2]
    made.rounds.append(at)
    made.in_vain.append(at)


def _cut_last_round(made: MadeDialogue) -> None:
    """The last round of asking goes, the expert's closing stays: a correction that makes the dialogue shorter."""
    at = made.rounds.pop()
    end = len(made.roles) - 1 if made.roles[-1] == "assistant" else len(made.roles)
    del made.roles[at:end], made.texts[at:end], made.times[at:end]
    made.facts = [fact for fact in made.facts if fact.message_index < at]
    made.volunteered = [place for place in made.volunteered if place < len(made.facts)]
    made.in_vain = [index for index in made.in_vain if index < at]
