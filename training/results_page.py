"""A grid's page in Markdown: metrics, differences, signs of hacking, trainings, answers side by side."""

from __future__ import annotations

import hashlib
import os
import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from l2a.dialogue.types import Message
from l2a.judge.keywords import KeywordGrader
from l2a.judge.protocols import Question
from l2a.metrics.definitions import METRICS
from training.recipes import BASELINE, Recipe
from training.results import Results, Row
from training.signs import RUN, asks_again, repeats_itself

SHOWN_TURNS = 20


def page(results: Results, recipe: Recipe, typed: str, taken: Mapping[str, float]) -> str:
    """The page: every figure of it comes from the tables of the warehouse. taken: seconds by step of this run."""
    first = results.metrics[0]
    minutes = sum(taken.values()) / 60
    lines = [
        f"# Results: {recipe.name}",
        "",
        f"Made by `{typed}` in {minutes:.0f} minutes (less where something was trained already) on "
        f"{os.cpu_count()} cores ({platform.machine()}). The recipe: {recipe.about}",
        "",
        f"Extractor and grader: {first['extractor']}, {first['grader']}; beta {first['beta']:g}; "
        f"{first['dropped_share']:.1%} of the eval turns are left out. Values with 95 % intervals over dialogues. "
        "Conditions with `@greedy` answered at temperature 0, the others at 1.",
        "",
        "## All turns",
        "",
        *_metric_lines(results.metrics),
        "",
        "## Turns after the first",
        "",
        *_metric_lines(results.after_first),
        "",
        *_difference_lines(f"Differences to {BASELINE}", "On the same turns, paired by dialogue.", results.comparisons),
        *_difference_lines(
            f"Differences to {BASELINE}, all seeds together",
            "Each turn's answers of all seeds of both. Paired by dialogue.",
            results.pooled_comparisons,
        ),
        *_difference_lines(
            f"Differences to {BASELINE}, turns after the first",
            "All seeds of a method together, at temperature 0 to the baseline at temperature 0. Paired by dialogue.",
            results.after_first_comparisons,
        ),
        "## Signs of hacking",
        "",
        "Over questions asked at CONTINUE turns. *most frequent*: the share of the most frequent question within its "
        "domain, over all domains. *second grader*: how often the grader by words, which pays nothing, agrees whether "
        "an item is asked for. *asks again*: for what the user was asked before and answered. *repeats itself*: says "
        f"{RUN} words in a row twice within a question.",
        "",
        *_hacking_lines(results.answers, results.messages),
        "",
        "## Trainings",
        "",
        "Optimizer steps of the last stage and the turns that it saw; minutes of all stages that it made itself "
        "(stages that conditions share are made by the first).",
        "",
        "| condition | steps | turns | of usable turns | minutes | model version |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row['condition']} | {row['steps']:,} | {row['trained_turns']:,} | {row['usable_turns']:,} "
            f"| {row['seconds'] / 60:.1f} | {row['model_version']} |"
            for row in results.trainings
        ),
        "",
        "## Minutes of this run",
        "",
        "| step | minutes |",
        "|---|---|",
        *(f"| {step} | {seconds / 60:.1f} |" for step, seconds in taken.items()),
        "",
        f"## {SHOWN_TURNS} turns side by side",
        "",
        "Picked by the smallest hash of session and turn; the first sample of each condition.",
        "",
        *_side_by_side(results.answers),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _metric_lines(rows: Iterable[Row]) -> list[str]:
    by_condition: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        by_condition[row["condition"]][row["metric"]] = row
    lines = [f"| condition | {' | '.join(METRICS)} | rollouts | dialogues |", "|---|" + "---|" * (len(METRICS) + 2)]
    for name in sorted(by_condition, key=lambda name: -(by_condition[name]["TR"]["value"] or 0)):
        metrics = by_condition[name]
        cells = " | ".join(_cell(metrics.get(metric), "value") for metric in METRICS)
        lines.append(f"| {name} | {cells} | {metrics['TR']['n']:,} | {metrics['TR']['n_dialogues']:,} |")
    return lines


def _difference_lines(title: str, about: str, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    by_condition: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        by_condition[row["condition"]][row["metric"]] = row
    lines = [
        f"## {title}",
        "",
        about,
        "",
        f"| condition | {' | '.join(METRICS)} |",
        "|---|" + "---|" * len(METRICS),
    ]
    for name, metrics in sorted(by_condition.items()):
        lines.append(f"| {name} | {' | '.join(_cell(metrics.get(metric), 'difference') for metric in METRICS)} |")
    return [*lines, ""]


def _cell(row: Row | None, column: str) -> str:
    if row is None or row[column] is None:
        return "-"
    if row["ci_low"] is None:
        return f"{row[column]:.3f}"
    return f"{row[column]:.3f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"


def _hacking_lines(answers: Sequence[Row], messages: Mapping[str, Sequence[Message]]) -> list[str]:
    columns = ("condition", "questions", "most frequent", "second grader agrees", "asks again", "repeats itself")
    lines = [f"| {' | '.join(columns)} | with R_a 0 |", "|---" * (len(columns) + 1) + "|"]
    asked: dict[str, list[Row]] = defaultdict(list)
    for row in answers:
        if row["target"] == row["decision"] == "CONTINUE" and row["text"].strip():
            asked[row["condition"]].append(row)
    grader = KeywordGrader()
    for name, rows in sorted(asked.items()):
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for row in rows:
            counts[row["domain"] or ""][row["text"].strip()] += 1
        most = sum(max(of.values()) for of in counts.values()) / len(rows)
        second = grader.grade([Question(row["text"], tuple(row["information"])) for row in rows])
        agrees = sum((row["r_a"] > 0) == ((two.r_a or 0) > 0) for row, two in zip(rows, second, strict=True))
        again = sum(asks_again(row["text"], messages[row["session_id"]][: row["context_end"]]) for row in rows)
        twice = sum(repeats_itself(row["text"]) for row in rows)
        nothing = sum(row["r_a"] == 0 for row in rows)
        shares = (most, *(count / len(rows) for count in (agrees, again, twice, nothing)))
        lines.append(f"| {name} | {len(rows):,} | {' | '.join(f'{share:.1%}' for share in shares)} |")
    return lines


def _side_by_side(answers: Sequence[Row]) -> list[str]:
    places: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in answers:
        if row["sample"] == 0:
            places[row["session_id"], row["turn"]].append(row)
    picked = sorted(places, key=lambda place: hashlib.sha256(f"{place[0]} {place[1]}".encode()).digest())
    lines: list[str] = []
    for session, turn in picked[:SHOWN_TURNS]:
        rows = places[session, turn]
        first = rows[0]
        wanted = "; ".join(first["information"]) or "nothing is left to ask: STOP"
        lines += [
            f"**{_text(session)}, turn {turn}** ({_text(first['domain'] or 'no domain')}). Last said: "
            f"{_text(first['said'])}. Worth asking: {_text(wanted)}",
            "",
            "| condition | answer | R_a |",
            "|---|---|---|",
            *(f"| {row['condition']} | {_text(row['text'])} | {row['r_a']:g} |" for row in rows),
            "",
        ]
    return lines


def _text(text: str | None) -> str:
    """Other people's words in a cell of a Markdown table: on one line, and nothing in them is markup."""
    line = " ".join((text or "").split())[:200]
    for mark in "\\`*_[]<>|#":
        line = line.replace(mark, f"\\{mark}")
    return line
