"""The reward of a training: l2a's one definition, graded by whichever judge is configured.

A grade that fails is None: TRL leaves that answer out of its group's baseline. It is never 0, which would punish the
policy for its judge. An answer that was cut off at the recipe's limit is 0, whatever it says: else a policy learns to
ramble, as the end of what it says is never seen.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from l2a.dialogue.types import Message
from l2a.dialogue.utterance import Utterance, parse
from l2a.judge.keywords import KeywordGrader
from l2a.judge.protocols import Grader, Judgement, Question
from l2a.reward.grading import Grade, grade, needs_grader
from l2a.reward.values import Form, reward
from training.data import Turn
from training.signs import asks_again, repeats_itself

AGREEMENT = "second_grader_agrees"


def row(turn: Turn, chat: list[dict[str, str]]) -> dict[str, Any]:
    """A row of TRL's data set: the prompt, and what the reward needs to know of the turn."""
    d = turn.dialogue
    return {
        "prompt": chat,
        "session_id": d.session_id,
        "turn": turn.turn,
        "target": turn.target,
        "information": list(turn.information),
        "domain": d.domain or "",
        "goal": d.goal or "",
        "context_roles": [m.role for m in turn.context],
        "context_texts": [m.content for m in turn.context],
        "future_roles": [m.role for m in turn.future],
        "future_texts": [m.content for m in turn.future],
    }


class Reward:
    """Implements TRL's reward function. `form` and `beta` are those of `l2a.reward.values.reward`; `limit` is the most
    tokens that an answer may have (None: nothing is ever cut)."""

    __name__ = "reward"

    def __init__(self, grader: Grader, form: Form, beta: float, limit: int | None = None) -> None:
        self._grader = grader
        self._form: Form = form
        self._beta = beta
        self._limit = limit
        self.ends: Collection[int] = ()
        """Tokens that end an answer, as the trainer knows them; its model says which, so it sets them."""
        self._second = KeywordGrader()

    def __call__(self, prompts: Any, completions: Any, **columns: Any) -> list[float | None]:
        """One reward per completion; None where the grader failed, 0 for an answer that was cut off."""
        texts = [said(completion) for completion in completions]
        utterances = [parse(text) for text in texts]
        asked = questions_of(columns, texts)
        grades, judgements = self.grades(columns["target"], utterances, asked)
        values = [reward(g.r_a, g.r_s, g.omega, beta=self._beta, form=self._form) for g in grades]
        for place, tokens in enumerate(columns.get("completion_ids") or ()):
            if self._limit is not None and len(tokens) >= self._limit and tokens[-1] not in self.ends:
                values[place] = 0.0
        log = columns.get("log_metric")
        if log is not None:
            for name, value in self._curves(columns, texts, utterances, grades, asked, judgements).items():
                log(name, value)
        extra = columns.get("log_extra")
        if extra is not None:
            extra("target", list(columns["target"]))
            extra("information", [" | ".join(items) for items in columns["information"]])
        return values

    def grades(
        self, targets: Sequence[Any], utterances: Sequence[Utterance], asked: Sequence[Question]
    ) -> tuple[list[Grade], dict[int, Judgement]]:
        """The grade of each utterance, and the judgements of those that needed the grader, by their place."""
        places = [i for i, (t, u) in enumerate(zip(targets, utterances, strict=True)) if needs_grader(t, u)]
        found = dict(zip(places, self._grader.grade([asked[i] for i in places]), strict=True)) if places else {}
        graded = [grade(t, u, found.get(i)) for i, (t, u) in enumerate(zip(targets, utterances, strict=True))]
        return graded, found

    def _curves(
        self,
        columns: Any,
        texts: Sequence[str],
        utterances: Sequence[Utterance],
        grades: Sequence[Grade],
        asked: Sequence[Question],
        judgements: dict[int, Judgement],
    ) -> dict[str, float]:
        """Parts of the reward, and the signs by which reward hacking shows (the paper's figure 4)."""
        targets = columns["target"]
        asks = [i for i, u in enumerate(utterances) if u.decision == "CONTINUE" and u.action]
        curves = {
            "failed_share": _mean([g.status == "failed" for g in grades]),
            "omega": _mean([g.omega for g in grades]),
            "r_s": _mean([g.r_s for g in grades]),
            "wa": _mean([grades[i].r_a for i in judgements]),
            "wc": _mean([g.r_s for g, t in zip(grades, targets, strict=True) if t == "CONTINUE"]),
            "ws": _mean([g.r_s for g, t in zip(grades, targets, strict=True) if t == "STOP"]),
            "question_characters": _mean([len(texts[i]) for i in asks]),
            "longest_question": max((float(len(texts[i])) for i in asks), default=None),
            "several_questions_share": _mean([utterances[i].questions >= 2 for i in asks]),
            "asks_again_share": _mean([asks_again(texts[i], asked[i].context) for i in asks]),
            "repeats_itself_share": _mean([repeats_itself(texts[i]) for i in asks]),
            "most_frequent_share": _most_frequent(columns["domain"], texts, asks),
        }
        if judgements:
            second = self._second.grade([asked[i] for i in judgements])
            pairs = [(a.r_a, b.r_a) for a, b in zip(judgements.values(), second, strict=True)]
            curves[AGREEMENT] = _mean([(a > 0) == (b > 0) for a, b in pairs if a is not None and b is not None])
        return {name: value for name, value in curves.items() if value is not None}


def said(completion: Any) -> str:
    """The text of a completion, as TRL gives it for a chat or for plain text."""
    return str(completion if isinstance(completion, str) else completion[-1]["content"])


def questions_of(columns: Any, texts: Sequence[str]) -> list[Question]:
    """What the grader is told about each completion."""
    contexts = zip(columns["context_roles"], columns["context_texts"], strict=True)
    futures = zip(columns["future_roles"], columns["future_texts"], strict=True)
    rows = zip(texts, columns["information"], contexts, columns["domain"], columns["goal"], futures, strict=True)
    return [
        Question(
            text,
            tuple(items),
            tuple(map(Message, *context)),
            domain or None,
            goal or None,
            tuple(map(Message, *future)),
        )
        for text, items, context, domain, goal, future in rows
    ]


def _mean(values: Sequence[float | bool | None]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _most_frequent(domains: Sequence[str], texts: Sequence[str], asks: Sequence[int]) -> float | None:
    """The share of the most frequent question within its domain, weighted by how much each domain asks."""
    if not asks:
        return None
    by_domain: dict[str, Counter[str]] = defaultdict(Counter)
    for i in asks:
        by_domain[domains[i]][texts[i].strip()] += 1
    return sum(max(counts.values()) for counts in by_domain.values()) / len(asks)
