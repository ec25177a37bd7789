"""`l2a judge-check`: what a team runs before it trusts a judge. No Spark.

l2a judge-check --anchors anchors.jsonl
l2a judge-check --grader llm --extractor llm --endpoint http://gpu-1:8000/v1 --model judge --model-version 3
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from pathlib import Path
from typing import Any

import click

from l2a.errors import TooManyFailures
from l2a.judge_check import extracting, grading
from l2a.judge_check.figures import Finding
from l2a.judge_check.source import Anchor, dialogues, is_there, questions, read_anchors
from l2a.llm.sync import Asker
from l2a.open_judge import check_llm_name, embedded_name, is_llm, open_embedded
from l2a.options import Command, common, llm_given, llm_options, refuse_llm_options, settings_of
from l2a.progress import say
from l2a.settings import Settings
from l2a.sql import output


@contextmanager
def _graders(settings: Settings, asker: Asker) -> Iterator[grading.Open]:
    """Opens the configured grader. An LLM's answers are kept for one asking only: each repeat is asked and paid."""
    if not is_llm(settings.judge.grader):
        name = embedded_name(settings, settings.judge.grader, "grader")
        embedded = open_embedded(settings, name).grader
        say(f"judge-check: grader {name}")
        yield lambda number: embedded
        return
    from l2a.llm.http_grader import HttpGrader

    opened: dict[int, HttpGrader] = {}
    with tempfile.TemporaryDirectory() as folder:

        def open_one(number: int) -> HttpGrader:
            if number not in opened:
                answers = Path(folder) / "grades.sqlite"
                form = settings.judge.prompt_form
                opened[number] = HttpGrader(settings.llm, form, answers, sample=number, asker=asker)
            return opened[number]

        check_llm_name(settings.judge.grader, open_one(0).name, "grader")
        say(f"judge-check: grader {open_one(0).name}")
        yield open_one
        say(f"judge-check: grader: {sum(one.paid for one in opened.values()):,} calls paid")
        for one in opened.values():
            one.close()


def _grader(
    settings: Settings, asker: Asker, anchors: Sequence[Anchor], most: int, repeats: int
) -> tuple[list[Finding], int, int]:
    asked = questions(settings.warehouse, most) if is_there(settings.warehouse) else []
    if not asked:
        say(f"judge-check: {settings.warehouse} has no usable turns to ask about: anchors and attacks only")
    with _graders(settings, asker) as open_grader:
        found, gradings, failed = grading.check_repeats(open_grader, [*anchors, *asked], repeats)
        if anchors:
            of_anchors, lost = grading.check_anchors(open_grader(0), anchors)
            found, gradings, failed = [*found, *of_anchors], gradings + len(anchors), failed + lost
        return [*found, *grading.check_attacks(open_grader(0))], gradings, failed


def _extractor(settings: Settings, asker: Asker, most: int, repeats: int) -> tuple[list[Finding], int, int]:
    logged = dialogues(settings.warehouse, most) if is_there(settings.warehouse) else []
    if not logged:
        say(f"judge-check: {settings.warehouse} has no usable turns: the extractor is not checked")
        return [], 0, 0
    if not is_llm(settings.judge.extractor):
        name = embedded_name(settings, settings.judge.extractor, "extractor")
        say(f"judge-check: extractor {name}")
        return extracting.check_repeats(
            extracting.by_embedded(open_embedded(settings, name).extractor), logged, repeats
        )
    from l2a.llm.versions import resolve_model_version

    judge = extracting.ByLLM(settings.judge, settings.llm, resolve_model_version(settings.llm), asker)
    found, turns, failed = extracting.check_repeats(judge, logged, repeats)
    found += extracting.check_forms(judge, logged)
    share = judge.dropped / judge.facts if judge.facts else None
    found.append(
        Finding(extracting.ANSWERED, "facts that the dialogue does not bear out, dropped", share, n=judge.facts)
    )
    say(f"judge-check: extractor: {judge.paid:,} calls paid")
    if judge.errors:
        say(f"judge-check: extractor: calls failed: {grading.kinds(judge.errors)}")
    return found, turns, failed


@click.command("judge-check", cls=Command)
@click.option("--anchors", metavar="FILE", help="Questions that people graded, JSON lines (docs/judge.md).")
@click.option("--grader", metavar="NAME", help="`embedded`, `llm`, or the full name of a fitted judge.")
@click.option("--extractor", metavar="NAME", help="`embedded`, `llm`, or the full name of a fitted judge.")
@click.option("--questions", "most_questions", type=click.IntRange(1), default=100, show_default=True,
              help="Questions of the warehouse that are graded.")  # fmt: skip
@click.option("--dialogues", "most_dialogues", type=click.IntRange(0), default=20, show_default=True,
              help="Dialogues of it that are extracted; 0: the extractor is not checked.")  # fmt: skip
@click.option("--repeats", type=click.IntRange(2, 20), default=3, show_default=True, help="Times that each is asked.")
@click.option("--format", "form", type=click.Choice(list(output.FORMATS)), default="table", show_default=True)
@click.option(
    "--max-failed-share", type=click.FloatRange(0, 1), help="Exit code 1 above this share of failures [0.05]."
)
@llm_options
@common
def command(
    anchors: str | None,
    grader: str | None,
    extractor: str | None,
    most_questions: int,
    most_dialogues: int,
    repeats: int,
    form: str,
    max_failed_share: float | None,
    config: str | None,
    warehouse: str | None,
    **llm: Any,
) -> None:
    """Whether a judge can be trusted: it answers, the same again, as people do, and to no attack."""
    given = llm_given(**llm)
    settings = settings_of(
        config,
        warehouse,
        max_failed_share=max_failed_share,
        judge={"grader": grader, "extractor": extractor},
        llm=given,
    )
    judges = [settings.judge.grader, *([settings.judge.extractor] if most_dialogues else [])]
    if not any(map(is_llm, judges)):
        refuse_llm_options(given, f"the judge is {' and '.join(dict.fromkeys(judges))}")
    told = read_anchors(anchors) if anchors else []
    asker = Asker(settings.llm)  # one, so that the spending limit holds for the whole check
    found, rows, failed = _grader(settings, asker, told, most_questions, repeats)
    if most_dialogues:
        more, turns, lost = _extractor(settings, asker, most_dialogues, repeats)
        found, rows, failed = [*found, *more], rows + turns, failed + lost
    output.FORMATS[form]([field.name for field in fields(Finding)], map(astuple, found), sys.stdout)
    sys.stdout.flush()
    if rows and failed / rows > settings.max_failed_share:
        raise TooManyFailures(
            f"judge-check: {failed:,} of {rows:,} askings failed, more than the allowed "
            f"{settings.max_failed_share:.1%} (--max-failed-share)"
        )


if __name__ == "__main__":
    command()
