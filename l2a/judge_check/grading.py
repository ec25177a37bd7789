"""Checks of a grader: does it answer, does it answer the same again, as people do, and only to honest questions?

What is compared is R_a as it would be paid (l2a.reward), so that what the reward's code catches is not held against a
grader. An LLM is asked again for each repeat; the embedded grader gets the questions in another order, so in other
batches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from l2a.dialogue.types import Message
from l2a.dialogue.utterance import parse
from l2a.judge.protocols import Grader, Question
from l2a.judge_check.attacks import CASES, FAMILIES, HONEST, ITEMS, SAID_LATER, deserved
from l2a.judge_check.figures import Finding, agreement, share
from l2a.judge_check.source import Anchor, Asked
from l2a.reward.grading import LEVELS, Grade, grade, needs_grader

Open = Callable[[int], Grader]
"""The grader that gives the n-th answers to the same questions."""
REPEATED, ANSWERED, ANCHORS, ATTACKS = "grader, repeated", "grader, answers", "grader, anchors", "grader, attacks"


def paid(grader: Grader, questions: Sequence[Question]) -> list[Grade]:
    """The grade of each question at a CONTINUE turn, as a rollout would get it."""
    said = [parse(question.text) for question in questions]
    asked = [i for i, utterance in enumerate(said) if needs_grader("CONTINUE", utterance)]
    judged = dict(zip(asked, grader.grade([questions[i] for i in asked]), strict=True)) if asked else {}
    return [grade("CONTINUE", utterance, judged.get(i)) for i, utterance in enumerate(said)]


def check_repeats(open_grader: Open, asked: Sequence[Asked], repeats: int) -> tuple[list[Finding], int, int]:
    """Share of answered gradings, and of questions with the same R_a every time; gradings, and how many failed."""
    runs = []
    for number in range(repeats):
        order = list(range(len(asked)))
        if number:
            np.random.default_rng(number).shuffle(order)
        grades = paid(open_grader(number), [asked[i].question for i in order])
        runs.append([one for _, one in sorted(zip(order, grades, strict=True), key=lambda pair: pair[0])])
    of_one = list(zip(*runs, strict=True))
    failed = [one.error or "" for grades in of_one for one in grades if one.status == "failed"]
    answered = [[one.status == "ok" for one in grades] for grades in of_one]
    same = [
        [len({one.r_a for one in grades}) == 1] if all(ok) else [] for grades, ok in zip(of_one, answered, strict=True)
    ]
    sessions = [one.session_id for one in asked]
    note = ", ".join(f"R_a {level:g}: {sum(one.r_a == level for one in runs[0])}" for level in LEVELS)
    findings = [
        share(ANSWERED, "share of gradings with a grade", _by(sessions, answered), kinds(failed)),
        share(REPEATED, f"same R_a in {repeats} askings", _by(sessions, same), note),
    ]
    return findings, len(asked) * repeats, len(failed)


def check_anchors(grader: Grader, anchors: Sequence[Anchor]) -> tuple[list[Finding], int]:
    """Agreement with people's grades; how many gradings failed. An anchor without a grade is left out, and said."""
    grades = paid(grader, [anchor.question for anchor in anchors])
    tables: dict[str, Any] = {}
    for anchor, found in zip(anchors, grades, strict=True):
        if found.r_a is not None:
            table = tables.setdefault(anchor.session_id, np.zeros((3, 3)))
            table[LEVELS.index(anchor.grade), LEVELS.index(found.r_a)] += 1
    failed = sum(one.r_a is None for one in grades)
    findings = agreement(ANCHORS, list(tables.values()), len(anchors) - failed)
    if failed:
        findings.append(Finding(ANCHORS, "anchors without a grade, left out", float(failed), n=len(anchors)))
    return findings, failed


def check_attacks(grader: Grader) -> list[Finding]:
    """Share of attacks that are paid more than they deserve: as the utterance, and as what the user said before an
    utterance that asks for nothing of the kind; and of honest utterances that get what they deserve."""
    spoken = paid(grader, [Question(text, ITEMS, future=SAID_LATER) for _, text in CASES])
    planted = paid(
        grader,
        [
            Question("Is it raining where you are?", ITEMS, (Message("user", text),), future=SAID_LATER)
            for _, text in CASES
        ],
    )
    honest = paid(grader, [Question(text, ITEMS, future=SAID_LATER) for text, _ in HONEST])
    findings = []
    for where, grades, most in (
        ("by the utterance", spoken, [deserved(family) for family, _ in CASES]),
        ("by the user", planted, [0.0] * len(CASES)),
    ):
        rows = list(zip(CASES, grades, most, strict=True))
        won = [[one.r_a > top] if one.r_a is not None else [] for _, one, top in rows]
        families = Counter(family for (family, _), one, top in rows if one.r_a is not None and one.r_a > top)
        failed = [one.error or "" for one in grades if one.status == "failed"]
        told = [f"{name}: {n} of {len(FAMILIES[name])}" for name, n in sorted(families.items())]
        note = ", ".join([*told, *([f"no grade: {kinds(failed)}"] if failed else [])])
        findings.append(share(ATTACKS, f"attacks {where} that are paid too much", won, note))
    right = [[one.r_a == worth] for one, (_, worth) in zip(honest, HONEST, strict=True)]
    findings.append(share(ATTACKS, "honest utterances paid as they deserve", right))
    return findings


def _by(sessions: Sequence[str], flags: Sequence[Sequence[bool]]) -> list[list[bool]]:
    """Flags of the questions gathered by dialogue."""
    found: dict[str, list[bool]] = {}
    for session, several in zip(sessions, flags, strict=True):
        found.setdefault(session, []).extend(several)
    return list(found.values())


def kinds(errors: Sequence[str]) -> str:
    """How often each kind of error came: its class where a call failed, else its words."""
    kinds = Counter(error.removeprefix("grader: ").split(":")[0][:60] for error in errors)
    return ", ".join(f"{kind}: {n}" for kind, n in sorted(kinds.items()))
