"""The domains: what people come with, what the expert has to find out, and how both say it. Read from data/.

data/LANGUAGE.toml holds what is said in every domain of a language; data/domains/*.toml one domain each: its cases
(why somebody calls, which decides what has to be found out and in which order) and its attributes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from l2a.synth.patterns import Maker, compile_pattern


@dataclass(frozen=True, slots=True)
class Phrases:
    """What is said in every domain of one language. The file's comments and data/en.toml show each kind."""

    space: str
    """Between two sentences: " ", or nothing in Chinese."""
    full_stop: str
    ends: str
    """Characters that end a sentence or announce the next, so that no full stop is missing."""
    welcomes: Sequence[str]
    greetings: Sequence[str]
    acks: Sequence[str]
    fillers: Sequence[str]
    waits: Sequence[str]
    refusals: Sequence[str]
    unknowns: Sequence[str]
    smalltalk: Sequence[str]
    again: Sequence[str]
    repeats: Sequence[str]
    joins: Sequence[str]
    asides: Sequence[str]
    aside_replies: Sequence[str]
    anything_else: Sequence[str]
    nothing_else: Sequence[str]
    lookups: Sequence[str]
    lookup_results: Sequence[str]
    system: Sequence[str]
    give_ups: Sequence[str]
    regrets: Sequence[str]
    thanks: Sequence[str]


@dataclass(frozen=True, slots=True)
class Gate:
    """A question that only makes sense after certain answers: the other car's plate, if there was another car."""

    attribute: str
    not_values: frozenset[str]

    def opens(self, values: Mapping[str, str]) -> bool:
        """Whether what the user supplied so far makes the question worth asking."""
        value = values.get(self.attribute)
        return value is not None and value not in self.not_values


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something that an expert has to find out."""

    name: str
    questions: Sequence[str]
    replies: Sequence[str]
    volunteered: Sequence[str]
    """Sentences that supply it unasked; none where nobody would."""
    makers: Sequence[Maker]
    gate: Gate | None


@dataclass(frozen=True, slots=True)
class Case:
    """Why a user comes. It decides what has to be found out, and in which order good experts ask."""

    name: str
    openings: Sequence[str]
    ask: Sequence[Attribute]


@dataclass(frozen=True, slots=True)
class Domain:
    """One line of business."""

    name: str
    language: str
    weight: int
    goal: str
    closings: Sequence[str]
    cases: Sequence[Case]
    gating: frozenset[str]
    """Attributes whose value decides about other questions."""
    phrases: Phrases


@cache
def load_domains() -> tuple[Domain, ...]:
    """Every domain that ships, ordered by file name."""
    folder = files("l2a.synth").joinpath("data", "domains")
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".toml"))
    return tuple(_domain(tomllib.loads(folder.joinpath(name).read_text("utf-8"))) for name in names)


@cache
def wheel(names: tuple[str, ...] = ()) -> tuple[Domain, ...]:
    """The named domains (none: all), each as often as its weight says: choosing evenly from it chooses by weight."""
    return tuple(item for item in load_domains() if not names or item.name in names for _ in range(item.weight))


@cache
def _language(language: str) -> tuple[Phrases, dict[str, list[str]]]:
    document = tomllib.loads(files("l2a.synth").joinpath("data", f"{language}.toml").read_text("utf-8"))
    lists = document.pop("lists")
    return Phrases(**document), lists


def _domain(document: dict[str, Any]) -> Domain:
    phrases, shared = _language(document["language"])
    lists = {**shared, **document.get("lists", {})}
    attributes = {row["name"]: _attribute(row, lists) for row in document["attribute"]}
    cases = [
        Case(row["name"], tuple(row["openings"]), tuple(attributes[name] for name in row["ask"]))
        for row in document["case"]
    ]
    return Domain(
        name=document["name"],
        language=document["language"],
        weight=document["weight"],
        goal=document["goal"],
        closings=tuple(document["closings"]),
        cases=tuple(cases),
        gating=frozenset(item.gate.attribute for item in attributes.values() if item.gate),
        phrases=phrases,
    )


def _attribute(row: dict[str, Any], lists: Mapping[str, Sequence[str]]) -> Attribute:
    only_if = row.get("only_if")
    return Attribute(
        name=row["name"],
        questions=tuple(row["questions"]),
        replies=tuple(row["replies"]),
        volunteered=tuple(row["volunteered"]),
        makers=tuple(compile_pattern(value, lists) for value in row["values"]),
        gate=Gate(only_if["attribute"], frozenset(only_if["not_values"])) if only_if else None,
    )
