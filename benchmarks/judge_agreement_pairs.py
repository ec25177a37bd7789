"""Labelled dialogues, and the question pairs that a grader is measured on. Gold is for measuring only."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2a.dialogue.types import Message
from l2a.judge.embedded import FitDialogue
from l2a.judge.embedded.text import questions
from l2a.judge.protocols import Question


@dataclass(frozen=True)
class Labelled:
    """A dialogue with its gold facts: {message index: ["attribute: value", ...]}."""

    dialogue: FitDialogue
    gold: dict[int, list[str]]
    service: str
    unplaced: tuple[str, ...] = ()
    """Facts that the dialogue supplies, but of which the labels do not say where: no question for one is a negative."""


@dataclass(frozen=True)
class Pair:
    """A question put to the grader, and whether gold says that it asks for an item of I*_t; `kind`: how it was made."""

    question: Question
    asks: int
    kind: str
    dialogue: int


def read(path: Path) -> list[Labelled]:
    """The successful dialogues of a JSON-lines file, in the order of their session ids."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        if row["outcome"] != "success":
            continue
        messages = [Message(m["role"], m["content"]) for m in row["messages"]]
        gold: dict[int, list[str]] = {}
        for fact in row["gold"]:
            gold.setdefault(fact["message_index"], []).append(fact["fact"])
        dialogue = FitDialogue(messages, row["domain"], row["goal"], row["session_id"])
        meta = row["meta"]
        unplaced = tuple(meta.get("unaligned_facts", ()))
        found.append(Labelled(dialogue, gold, meta.get("service", row["domain"]), unplaced))
    return sorted(found, key=lambda one: one.dialogue.session_id)


def turn_starts(one: Labelled) -> list[int]:
    """context_end of each decision point that is not final: before each expert utterance but the last."""
    roles = [m.role for m in one.dialogue.messages]
    starts = [
        i for i, role in enumerate(roles) if role == "assistant" and "user" in roles[:i] and roles[i - 1] != "assistant"
    ]
    return starts[:-1] if roles[-1] == "assistant" else starts


def _attribute(one: Labelled, fact: str) -> tuple[str, str]:
    return one.service, fact.split(": ", 1)[0]


def elicited(one: Labelled) -> list[tuple[tuple[str, str], str]]:
    """(attribute, question) wherever a single question was answered with exactly one gold fact."""
    found = []
    for place, facts in one.gold.items():
        before = one.dialogue.messages[place - 1] if place else None
        if before is not None and before.role == "assistant" and len(facts) == 1:
            asked = questions(before.content)
            if len(asked) == 1:
                found.append((_attribute(one, facts[0]), asked[0]))
    return found


def pool_of(test: Sequence[Labelled]) -> dict[tuple[str, str], list[tuple[int, str]]]:
    """(service, attribute) -> (dialogue, question). A wording counts for an attribute only if at least half of the
    times that it was asked alone, in whatever service, it got that attribute and nothing else: users also answer past
    the question, and "how can I help?" gets in each service what users of it mostly open with."""
    times = Counter(
        asked[0].lower()
        for one in test
        for m in one.dialogue.messages
        if m.role == "assistant" and len(asked := questions(m.content)) == 1
    )
    got = Counter((attribute[1], question.lower()) for one in test for attribute, question in elicited(one))
    pool: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for i, one in enumerate(test):
        for attribute, question in elicited(one):
            if 2 * got[attribute[1], question.lower()] >= times[question.lower()]:
                pool.setdefault(attribute, []).append((i, question))
    return pool


def pairs(test: Sequence[Labelled], information: Sequence[dict[int, list[str]]]) -> list[Pair]:
    """One positive and one negative per turn where both can be had; `information`: per dialogue I*_t by context_end.

    Positive: a question of ANOTHER dialogue, worded otherwise than any of this one, that got an attribute of the gold
    I*_t. Negative, in turn: got what this context already holds; got an attribute that this dialogue never supplies;
    comes from another domain and got an attribute whose name shares no word with any of the gold I*_t, nor with what is
    supplied the labels do not say where.
    """
    chance = random.Random(0)
    pool = pool_of(test)
    domains = {one.service: one.dialogue.domain for one in test}
    found: list[Pair] = []
    for i, one in enumerate(test):
        own = {q.lower() for m in one.dialogue.messages if m.role == "assistant" for q in questions(m.content)}
        for end in turn_starts(one):
            items = information[i].get(end) or []
            future = {_attribute(one, f) for at, facts in one.gold.items() if at >= end for f in facts}
            past = {_attribute(one, f) for at, facts in one.gold.items() if at < end for f in facts} - future
            somewhere = {_attribute(one, fact) for fact in one.unplaced}
            absent = {a for a in pool if a[0] == one.service} - future - past - somewhere
            wanted = {word for _, name in future | somewhere for word in name.split()}
            far = {a for a in pool if domains[a[0]] != one.dialogue.domain and not wanted & set(a[1].split())}
            kinds = [("already supplied", past), ("another attribute", absent), ("another domain", far)]
            start = chance.randrange(3)
            drawn = [("asks", future), *kinds[start:], *kinds[:start]]
            made: list[Pair] = []
            for kind, attributes in drawn:
                options = [q for a in sorted(attributes) for k, q in pool.get(a, []) if k != i and q.lower() not in own]
                if options and items and len(made) < 2 and (kind == "asks" or made):
                    question = Question(
                        chance.choice(options),
                        items,
                        one.dialogue.messages[:end],
                        one.dialogue.domain,
                        future=one.dialogue.messages[end:],
                    )
                    made.append(Pair(question, int(kind == "asks"), kind, i))
            found += made if len(made) == 2 else []
    return found


def spoken_pairs(test: Sequence[Labelled], foreign: Sequence[Labelled]) -> list[Pair]:
    """For logs without schema attributes: the expert's own question, an earlier question of the dialogue whose reply is
    past, and a question of another domain. The grader sees what follows the question, never the question itself."""
    chance = random.Random(0)
    far = [q for one in foreign for _, q in elicited(one)]
    found: list[Pair] = []
    for i, one in enumerate(test):
        messages = one.dialogue.messages
        earlier: list[str] = []
        for end in turn_starts(one):
            asked = questions(messages[end].content)
            items = [f for at, facts in sorted(one.gold.items()) if at >= end for f in facts]
            reply = next((at for at in range(end, len(messages)) if messages[at].role == "user"), -1)
            if asked and reply in one.gold and items:
                context, domain, future = messages[:end], one.dialogue.domain, messages[reply:]
                found.append(Pair(Question(asked[-1], items, context, domain, future=future), 1, "asks", i))
                old = earlier and chance.random() < 0.5
                text = chance.choice(earlier if old else far)
                kind = "already supplied" if old else "another domain"
                found.append(Pair(Question(text, items, context, domain, future=future), 0, kind, i))
                earlier.append(asked[-1])
    return found
