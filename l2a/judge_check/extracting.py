"""Checks of an extractor: does it answer, does it find the same again; do its two LLM forms find the same?

Of two answers about one turn, the items of I*_t are matched one to one by their values: two are the same where they
have at least half of their pairs of letters in common, in any script. F is twice the matched ones over all of both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from l2a.dialogue.types import Fact
from l2a.judge.protocols import Extractor
from l2a.judge_check.figures import Finding, ratio, share
from l2a.judge_check.source import Logged
from l2a.llm.answer import AnswerRow
from l2a.llm.prompts.extraction import extraction_request, read_facts
from l2a.llm.request import ChatRequest
from l2a.llm.sync import Asker
from l2a.settings import JudgeSettings
from l2a.settings.llm import LLMSettings

REPEATED, ANSWERED, FORMS = "extractor, repeated", "extractor, answers", "extractor, turn against dialogue"
SAME = 0.5
"""Share of pairs of letters (Dice) from which two values are the same."""

Found = list[list[str] | None]
"""I*_t of each turn of a dialogue that is not final; None where extraction failed."""
Ask = Callable[[Sequence[Logged], int], list[Found]]
"""The n-th answers about the same dialogues."""


def by_embedded(extractor: Extractor) -> Ask:
    """The embedded extractor. It gets the dialogues one by one at first, then all at once: in other batches."""

    def ask(logged: Sequence[Logged], number: int) -> list[Found]:
        given = [one.dialogue for one in logged]
        batches = [given] if number else [[one] for one in given]
        found = [facts for batch in batches for facts in extractor.extract(batch)]
        return [[after(facts, end) for end in one.starts] for one, facts in zip(logged, found, strict=True)]

    return ask


class ByLLM:
    """An extractor behind an endpoint. Each asking is paid for: a check must not be answered from what was stored."""

    def __init__(self, judge: JudgeSettings, llm: LLMSettings, model_version: str, asker: Asker | None = None) -> None:
        self._judge = judge
        self._llm = llm
        self._asker = asker or Asker(llm)
        self._version = model_version
        self.paid = 0
        """Distinct requests that were asked so far."""
        self.errors: list[str] = []
        """Classes of the calls that failed."""
        self.facts = self.dropped = 0
        """Facts in all answers, and those that the dialogue does not bear out."""

    def __call__(self, logged: Sequence[Logged], number: int) -> list[Found]:
        """In the configured form."""
        return self.by_turn(logged, number) if self._judge.extraction == "turn" else self.by_dialogue(logged, number)

    def by_dialogue(self, logged: Sequence[Logged], number: int = 0) -> list[Found]:
        """One call a dialogue."""
        facts = self._facts([(one, None) for one in logged], number)
        return [
            [None if said is None else after(said, end) for end in one.starts]
            for one, said in zip(logged, facts, strict=True)
        ]

    def by_turn(self, logged: Sequence[Logged], number: int = 0) -> list[Found]:
        """One call a turn."""
        places = [(one, end) for one in logged for end in one.starts]
        facts = iter(self._facts(places, number))
        found: list[Found] = []
        for one in logged:
            of_turns = [next(facts) for _ in one.starts]
            found.append([None if said is None else [str(fact) for fact in said] for said in of_turns])
        return found

    def _facts(self, places: Sequence[tuple[Logged, int | None]], number: int) -> list[list[Fact] | None]:
        requests = [self._request(one, end, number) for one, end in places]
        distinct = {request.request_id: request for request in requests}
        self.paid += len(distinct)
        rows = {row.request_id: row for batch in self._asker.batches(distinct.values()) for row in batch}
        self.errors += [row.error_class or "" for row in rows.values() if not row.ok]
        return [
            self._read(rows[request.request_id], one, end) for request, (one, end) in zip(requests, places, strict=True)
        ]

    def _read(self, row: AnswerRow, one: Logged, end: int | None) -> list[Fact] | None:
        if row.parsed is None:
            return None
        said = read_facts(row.parsed, one.dialogue.messages, end or 0)
        self.facts += len(said.facts) + said.dropped
        self.dropped += said.dropped
        return said.facts

    def _request(self, one: Logged, end: int | None, number: int) -> ChatRequest:
        request = extraction_request(
            one.dialogue,
            model=self._llm.model or "",
            model_version=self._version,
            context_end=end,
            form=self._judge.prompt_form,
            session_id=one.session_id,
            max_tokens=self._judge.extraction_max_tokens,
        )
        return replace(request, sample=number)


def check_repeats(ask: Ask, logged: Sequence[Logged], repeats: int) -> tuple[list[Finding], int, int]:
    """Share of answered turns, of turns with the same decision every time, F of the facts; turns, and failed ones."""
    runs = [ask(logged, number) for number in range(repeats)]
    answered = [[turn is not None for run in runs for turn in run[i]] for i in range(len(logged))]
    first = [list(zip(*(run[i] for run in runs), strict=True)) for i in range(len(logged))]
    findings = [
        share(ANSWERED, "share of turns with an answer", answered),
        share(REPEATED, f"same decision in {repeats} askings", [_decisions(turns) for turns in first]),
        _f(REPEATED, f"facts, F between {repeats} askings", [_pairs(turns) for turns in first]),
    ]
    flat = [flag for group in answered for flag in group]
    return findings, len(flat), flat.count(False)


def check_forms(judge: ByLLM, logged: Sequence[Logged]) -> list[Finding]:
    """One call a turn against one call a dialogue: the same decision, and the same facts."""
    turn, dialogue = judge.by_turn(logged), judge.by_dialogue(logged)
    both = [list(zip(a, b, strict=True)) for a, b in zip(turn, dialogue, strict=True)]
    empty = Counter((not a, not b) for turns in both for a, b in turns if a is not None and b is not None)
    single = f"{empty[True, False]} by turn only, {empty[False, True]} by dialogue only"
    note = f"I*_t empty: {empty[True, True]} in both, {single}"
    return [
        share(FORMS, "same decision", [_decisions(turns) for turns in both], note),
        _f(FORMS, "facts, F", [_pairs(turns) for turns in both]),
    ]


def after(facts: Iterable[Fact], context_end: int) -> list[str]:
    """I*_t from the facts of a dialogue, as `l2a.hindsight.objective.supplied` has it in Spark."""
    told = sorted(facts, key=lambda fact: fact.message_index)
    before = {str(fact).lower() for fact in told if fact.message_index < context_end}
    later = sorted((fact.message_index, str(fact)) for fact in told if fact.message_index >= context_end)
    first: dict[str, str] = {}
    for _, item in later:
        first.setdefault(item.lower(), item)
    return [item for alike, item in first.items() if alike not in before]


def matched(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items of the two have a partner, one to one, the most alike first."""
    alike = [(_alike(a, b), i, j) for i, a in enumerate(map(_value, one)) for j, b in enumerate(map(_value, other))]
    taken: set[int] = set()
    given: set[int] = set()
    for score, i, j in sorted(alike, key=lambda found: (-found[0], found[1], found[2])):
        if score >= SAME and i not in taken and j not in given:
            taken.add(i)
            given.add(j)
    return len(taken)


def _decisions(turns: Sequence[Sequence[list[str] | None]]) -> list[bool]:
    return [len({bool(one) for one in answers}) == 1 for answers in turns if None not in answers]


def _pairs(turns: Sequence[Sequence[list[str] | None]]) -> tuple[float, float]:
    """Twice the matched items, and all items, over pairs of answers about the same turn."""
    hits = total = 0.0
    for answers in turns:
        known = [one for one in answers if one is not None]
        for i, one in enumerate(known):
            for other in known[i + 1 :]:
                hits += 2.0 * matched(one, other)
                total += len(one) + len(other)
    return hits, total


def _f(check: str, what: str, sums: Sequence[tuple[float, float]]) -> Finding:
    kept = np.array([pair for pair in sums if pair[1] > 0], dtype=float).reshape(-1, 2)
    return ratio(check, what, kept, int(kept[:, 1].sum()), "n: facts of both sides")


def _value(item: str) -> Counter[str]:
    letters = "".join(letter for letter in item.partition(": ")[2].casefold() if letter.isalnum())
    return Counter([letters[i : i + 2] for i in range(len(letters) - 1)] or [letters])


def _alike(one: Counter[str], other: Counter[str]) -> float:
    return 2.0 * (one & other).total() / (one.total() + other.total())
