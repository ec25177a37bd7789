"""Simple rules by which the chaos endpoint answers l2a's own prompts, so that a whole pipeline runs against it.

Rollouts: a question about the last thing that was said, or the stop mark once a few things were.
Extraction: every user message that is not a question supplies one fact, named by the expert's question before it.
Grading: the share of an item's words that the utterance holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from l2a.dialogue.types import STOP_MARK
from l2a.llm.chaos.responder import Rules, echo, last_text

_WORD = re.compile(r"\w+")
_FROM = re.compile(r"in messages (\d+) and after")
_ENOUGH = 3
"""User messages after which the policy of the rules stops."""
_QUESTION = re.compile(r"[?？؟]")


def pipeline_rules() -> Rules:
    """Rules for extraction, grading and rollouts; anything else is answered by the schema."""
    rules = Rules()
    rules[None] = speak
    rules["facts"] = extract
    rules["judgement"] = grade
    return rules


def extract(body: Mapping[str, Any]) -> str:
    """One fact per user message that tells something, from the asked message on."""
    text = last_text(body)
    _, mark, after = text.partition("What came after:\n")
    asked = _FROM.search(text.rsplit("\n\n", 1)[-1])
    first = int(asked.group(1)) if asked else 0
    facts, question = [], ""
    for line in _json_lines(after if mark else text):
        if line.get("role") == "expert":
            question = line["content"]
        elif line.get("role") == "user" and line["message"] >= first and not _QUESTION.search(line["content"]):
            attribute = " ".join(question.split()[-4:]).strip("?？؟ .") or "problem"
            value = " ".join(line["content"].split())[:80]
            if value:
                facts.append({"message": line["message"], "attribute": attribute[:80] or "problem", "value": value})
    return json.dumps({"facts": facts[:100]}, ensure_ascii=False)


def speak(body: Mapping[str, Any]) -> str:
    """An expert's next utterance; anything else that asks for free text gets a question too."""
    messages = body["messages"]
    system = str(messages[0].get("content", "")) if messages and messages[0].get("role") == "system" else ""
    told = sum(message.get("role") == "user" for message in messages)
    return STOP_MARK if STOP_MARK in system and told > _ENOUGH else echo(body)


def grade(body: Mapping[str, Any]) -> str:
    """The item of which the utterance holds the largest share of words, and how directly by that share."""
    text = last_text(body)
    items = [json.loads(line)["fact"] for line in text.splitlines() if line.startswith('{"item"')]
    utterance = json.loads(text.splitlines()[-1])
    words = set(_WORD.findall(utterance.casefold()))
    shares = [len(words & item) / len(item) if item else 0.0 for item in map(_words, items)]
    best = max(shares, default=0.0)
    asked = len(_QUESTION.findall(utterance))
    directness = "none" if not asked or best < 0.15 else "direct" if best >= 0.4 else "close"
    item = 0 if directness == "none" else 1 + shares.index(best)
    return json.dumps({"questions": asked, "item": item, "directness": directness})


def _words(item: str) -> set[str]:
    return set(_WORD.findall(item.casefold()))


def _json_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith('{"message"'):
            yield json.loads(line)
