"""What prompt forms cost: tokens of extraction by one call a dialogue against one a turn (P4), cached share of grading
(P5), and many calls in flight against one at a time (P3).

    python -m benchmarks.llm_prompts LOGS.jsonl [--dialogues 20] [--endpoint URL --model NAME --model-version V]

Without --endpoint, a chaos endpoint answers, which counts tokens (4 bytes each) and simulates a prefix cache; P3 needs
a real one: `l2a serve --tiny` starts a vLLM on the CPU. Computed tokens are prompt tokens that no cache served.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from l2a.dialogue.types import Message
from l2a.judge.protocols import Dialogue, Question
from l2a.llm.answer import AnswerRow
from l2a.llm.chaos.running import chaos_endpoint
from l2a.llm.prompts import Form
from l2a.llm.prompts.extraction import extraction_request
from l2a.llm.prompts.grading import grading_request
from l2a.llm.request import ChatRequest
from l2a.llm.sync import answer_batches
from l2a.llm.versions import resolve_model_version
from l2a.settings.llm import LLMSettings

SAMPLES = 5
ONE_AT_A_TIME, MANY = 200, 2000
"""Calls of P3, at most: of many in flight so many that the start, with few of them, is a small part."""


def read(path: Path, most: int) -> list[Dialogue]:
    """Dialogues of a log in the native form; nothing but messages, domain and goal is read."""
    found = []
    with path.open(encoding="utf-8") as lines:
        for line in islice(lines, most):
            row = json.loads(line)
            said = [Message(message["role"], message["content"]) for message in row["messages"]]
            found.append(Dialogue(said, row.get("domain"), row.get("goal")))
    return found


def contexts(dialogue: Dialogue) -> list[int]:
    """Messages in the context of each turn but the final one: those where extraction is asked."""
    roles = [message.role for message in dialogue.messages]
    starts = [place for place in range(1, len(roles)) if roles[place] == "assistant" and roles[place - 1] == "user"]
    return starts if roles[-1] == "user" else starts[:-1]


def extraction(dialogues: list[Dialogue], model: str, version: str, scheme: str, form: Form) -> Iterator[ChatRequest]:
    """The requests that read all turns of the dialogues."""
    for number, dialogue in enumerate(dialogues):
        ends: list[int | None] = list(contexts(dialogue))
        for turn, end in enumerate(ends if scheme == "turn" else [None]):
            yield extraction_request(
                dialogue, model=model, model_version=version, context_end=end, form=form,
                session_id=f"{scheme}-{form}-{number}", turn=turn, max_tokens=64,
            )  # fmt: skip


def _told_later(dialogue: Dialogue, end: int) -> list[str]:
    """Stands in for I*_t: what the user says after the turn, which differs from turn to turn."""
    return [f"said: {message.content[:60]}" for message in dialogue.messages[end:] if message.role == "user"][:6]


def grading(dialogues: list[Dialogue], model: str, version: str, form: Form) -> Iterator[ChatRequest]:
    """Requests that grade five rollouts of every turn."""
    for number, dialogue in enumerate(dialogues):
        for turn, end in enumerate(contexts(dialogue)):
            for sample in range(SAMPLES):
                question = Question(
                    f"Could you tell me more about it, and by when, say within {sample} days?",
                    _told_later(dialogue, end), dialogue.messages[:end], dialogue.domain, dialogue.goal,
                )  # fmt: skip
                yield grading_request(
                    question, model=model, model_version=version, form=form, session_id=f"{form}-{number}", turn=turn
                )


def ask(name: str, requests: Iterator[ChatRequest], settings: LLMSettings) -> list[AnswerRow]:
    """Asks them all; prints what they took."""
    started = time.perf_counter()
    rows = [row for batch in answer_batches(requests, settings) for row in batch]
    seconds = time.perf_counter() - started
    prompt, cached = sum(row.prompt_tokens for row in rows), sum(row.cached_tokens for row in rows)
    failed = sum(not row.ok for row in rows)
    print(
        f"  {name:28} {len(rows):6,} calls ({failed} failed)  {len(rows) / seconds:7.1f} calls/s  "
        f"prompt tokens {prompt:10,}  computed {prompt - cached:10,}  cached {cached / max(prompt, 1):.3f}"
    )
    return rows


def computed(rows: list[AnswerRow]) -> int:
    """Prompt tokens that no cache served."""
    return sum(row.prompt_tokens - row.cached_tokens for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", type=Path)
    parser.add_argument("--dialogues", type=int, default=20)
    parser.add_argument("--endpoint")
    parser.add_argument("--model", default="chaos")
    parser.add_argument("--model-version")
    parser.add_argument("--max-in-flight", type=int, default=64)
    arguments = parser.parse_args()
    dialogues = read(arguments.logs, arguments.dialogues)
    with ExitStack() as stack:
        url = arguments.endpoint or stack.enter_context(chaos_endpoint()).url
        settings = LLMSettings.model_validate(
            {"endpoints": (url,), "model": arguments.model, "model_version": arguments.model_version,
             "max_in_flight": arguments.max_in_flight}
        )  # fmt: skip
        version = resolve_model_version(settings)
        model = arguments.model

        print(f"P4: extraction of all turns of {len(dialogues)} dialogues")
        ours = ask("one call a dialogue", extraction(dialogues, model, version, "dialogue", "prefix"), settings)
        published = ask("one call a turn, published", extraction(dialogues, model, version, "turn", "paper"), settings)
        print(f"P4 ratio of computed prompt tokens: {computed(ours) / computed(published):.3f} (at most .33)")

        print(f"P5: grading of {SAMPLES} rollouts a turn")
        for form in ("prefix", "paper"):
            rows = ask(f"{form} form", grading(dialogues, model, version, form), settings)
            share = sum(row.cached_tokens for row in rows) / sum(row.prompt_tokens for row in rows)
            print(
                f"P5 cached share of prompt tokens, {form} form: {share:.3f}" + " (at least .60)" * (form == "prefix")
            )

        if arguments.endpoint:
            one = settings.model_copy(update={"max_in_flight": 1, "first_in_flight": 1})
            rates = {}
            for name, how, most in (("one at a time", one, ONE_AT_A_TIME), ("many in flight", settings, MANY)):
                calls = islice(grading(dialogues, model, version, "prefix"), most)
                again = [ChatRequest(**vars_of(request, name)) for request in calls]
                started = time.perf_counter()
                ask(name, iter(again), how)
                rates[name] = len(again) / (time.perf_counter() - started)
            print(f"P3 ratio: {rates['many in flight'] / rates['one at a time']:.2f} (at least 6)")


def vars_of(request: ChatRequest, salt: str) -> dict[str, object]:
    """A request's fields with a salt in its first words, so that no cache knows it."""
    fields = {name: getattr(request, name) for name in request.__dataclass_fields__}
    first, *rest = request.messages
    return fields | {"messages": [{**first, "content": f"{salt}. {first['content']}"}, *rest]}


if __name__ == "__main__":
    main()
