"""The objective of a turn from the facts of its dialogue, in Spark's built-in functions.

Source: arXiv 2510.25441, section 4.2.3. I*_t is what the user supplies in the observed future and the context does not
hold yet, empty at the final turn, without what is asked of everyone (`l2a.hindsight.generic`); s*_t is CONTINUE where
I*_t is not empty and the turn is not final, else STOP.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

NOTHING_GAINED = "nothing_gained"
"""The expert asked on and learnt nothing more: neither a model for asking nor one for stopping."""
GENERIC_ONLY = "generic_only"
"""All that the expert still learnt is asked of everyone: to ask for it tells nothing of having read the dialogue."""

FACTS = "array<struct<message_index:int,attribute:string,value:string>>"


def supplied(facts: Column, context_end: Column, is_final: Column) -> Column:
    """What is supplied after the context and not in it, as array<string> of "attribute: value", each once, in the order
    in which it is supplied; empty at the final turn.

    facts: all that the user supplies in the dialogue (FACTS), context_end: messages in the context.
    """
    said = F.transform(
        facts,
        lambda f: F.struct(
            f["message_index"].alias("at"), F.concat(f["attribute"], F.lit(": "), f["value"]).alias("fact")
        ),
    )
    before = F.transform(F.filter(said, lambda f: f["at"] < context_end), lambda f: F.lower(f["fact"]))
    after = F.array_sort(F.filter(said, lambda f: f["at"] >= context_end))["fact"]
    # "Destination: Paris" and "destination: paris" are one fact.
    alike = F.transform(after, F.lower)
    first = F.filter(after, lambda fact, place: F.array_position(alike, F.lower(fact)) == place + 1)
    new = F.filter(first, lambda fact: ~F.array_contains(before, F.lower(fact)))
    return F.when(is_final, F.array().cast("array<string>")).otherwise(new)


def attribute(item: Column) -> Column:
    """The attribute of an "attribute: value", in lower case: what two items have in common that ask for one thing."""
    return F.lower(F.trim(F.substring_index(item, ":", 1)))


def information(supplied: Column, generic: Column) -> Column:
    """I*_t: what is supplied, without the attributes in `generic` (array<string>, as `attribute` gives them)."""
    return F.filter(supplied, lambda item: ~F.array_contains(generic, attribute(item)))


def decision(information: Column, is_final: Column) -> Column:
    """s*_t: CONTINUE or STOP."""
    return F.when(is_final | (F.size(information) == 0), "STOP").otherwise("CONTINUE")


def dropped_reason(supplied: Column, information: Column, is_final: Column) -> Column:
    """Why the turn is left out of training and evaluation; null: it is used."""
    return F.when(is_final | (F.size(information) > 0), None).otherwise(
        F.when(F.size(supplied) == 0, NOTHING_GAINED).otherwise(GENERIC_ONLY)
    )
