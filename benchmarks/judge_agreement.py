"""Measures the embedded judge against people's labels and writes the table into docs/judge.md.

    python benchmarks/judge_agreement.py [--data ../shared/data] [--size full] [--quick]

Two judges are fitted: on STAR's train file for STAR's test file; on the schema-guided dialogues without whole
services (`HELD_OUT`) for those services; the latter also judges PriMock57. Gold and meta are read here only, after
fitting. Beside the judge stands the same encoder without learning: the cosine of question and item, with the threshold
that suits the test pairs best, which no real use could know. `--quick` takes 60 test dialogues a set.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from judge_agreement_measures import Measured, auc, f1, fact_f, kappa, precision, recall, resample, token_f1
from judge_agreement_pairs import Labelled, Pair, pairs, read, spoken_pairs, turn_starts

from l2a.dialogue.types import Fact
from l2a.judge.embedded import EmbeddedJudge, fit
from l2a.judge.encoder import Encoder

HELD_OUT = frozenset({"Buses_1", "Buses_2", "Events_1", "Events_2", "Restaurants_1"})
"""Services of the schema-guided set that nothing is fitted on, nor was any constant of the judge chosen on them: whole
domains, so that no sibling service is seen."""
FIT_CAP = 2000
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

Row = tuple[str, str, str]
"""What was measured, the judge's figure, the figure without learning."""


def by_start(facts: dict[int, list[str]], one: Labelled) -> dict[int, list[str]]:
    """I*_t by context_end of the turns that are not final, from facts by message."""
    return {end: [f for at, found in sorted(facts.items()) if at >= end for f in found] for end in turn_starts(one)}


def by_message(facts: Sequence[Fact]) -> dict[int, list[str]]:
    """ "attribute: value" strings by message index."""
    found: dict[int, list[str]] = {}
    for fact in facts:
        found.setdefault(fact.message_index, []).append(str(fact))
    return found


def extractor_rows(test: Sequence[Labelled], extracted: Sequence[dict[int, list[str]]]) -> list[Row]:
    """The extractor's figures; without learning: every user message is one fact, word for word."""
    every = [{i: [m.content] for i, m in enumerate(one.dialogue.messages) if m.role == "user"} for one in test]
    rows: list[Row] = []
    for name, measure in (("F1", f1), ("precision", precision), ("recall", recall)):
        both = [_messages(test, found, measure) for found in (extracted, every)]
        rows.append((f"message supplies something new, {name}", str(both[0]), str(both[1])))
    for name, whole in (("value", False), ('"attribute: value"', True)):
        both = [_facts(test, found, whole) for found in (extracted, every)]
        rows.append((f"facts, F of the {name}", str(both[0]), str(both[1])))
    groups = []
    for one, found in zip(test, extracted, strict=True):
        gold, mine = by_start(one.gold, one), by_start(found, one)
        groups.append(np.array([(not gold[end], not mine[end]) for end in gold], dtype=float).reshape(-1, 2))
    flat = np.concatenate(groups)
    if flat[:, 0].sum() >= 10:
        hits = f"; {int((flat[:, 0] * flat[:, 1]).sum())} found, {int(((1 - flat[:, 0]) * flat[:, 1]).sum())} false"
        rows.append(
            ("non-final turn with empty I*_t, kappa", str(resample(groups, kappa, int(flat[:, 0].sum()))) + hits, "-")
        )
    return rows


def _messages(test: Sequence[Labelled], found: Sequence[dict[int, list[str]]], measure: object) -> Measured:
    groups = [
        np.array(
            [(i in one.gold, i in mine) for i, m in enumerate(one.dialogue.messages) if m.role == "user"], dtype=float
        ).reshape(-1, 2)
        for one, mine in zip(test, found, strict=True)
    ]
    assert callable(measure)
    return resample(groups, measure, int(sum(g[:, 0].sum() for g in groups)))


def _facts(test: Sequence[Labelled], found: Sequence[dict[int, list[str]]], whole: bool) -> Measured:
    """Rows (1, found?) for each gold fact and (0, right?) for each extracted one; right: token F1 >= .5 there."""

    def shown(fact: str) -> str:
        return fact if whole else fact.split(": ", 1)[-1]

    groups, gold_facts = [], 0
    for one, mine in zip(test, found, strict=True):
        rows = []
        for at in sorted(one.gold.keys() | mine.keys()):
            gold, own = one.gold.get(at, []), mine.get(at, [])
            gold_facts += len(gold)
            rows += [(1, any(token_f1(shown(g), shown(m)) >= 0.5 for m in own)) for g in gold]
            rows += [(0, any(token_f1(shown(g), shown(m)) >= 0.5 for g in gold)) for m in own]
        groups.append(np.array(rows, dtype=float).reshape(-1, 2))
    return resample(groups, fact_f, gold_facts)


def grader_rows(name: str, judge: EmbeddedJudge, made: Sequence[Pair]) -> list[Row]:
    """AUC of the score and kappa of `r_a = 1` and of `r_a > 0`; without learning: the best item's cosine."""
    if not made:
        return [(f"grader, {name}", "no pairs", "-")]
    asked = [pair.question for pair in made]
    scores = judge.grader.scores(asked)
    grades = [judgement.r_a or 0.0 for judgement in judge.grader.grade(asked)]
    plain = _cosines(made)
    truth = np.array([pair.asks for pair in made], dtype=float)
    best = max(np.quantile(plain, np.linspace(0.1, 0.9, 81)), key=lambda h: kappa(np.stack([truth, plain >= h], 1)))

    def figure(values: Sequence[float] | np.ndarray, measure: object, chosen: Sequence[bool] | None = None) -> Measured:
        groups: dict[int, list[tuple[float, float]]] = {}
        for k, (pair, value) in enumerate(zip(made, values, strict=True)):
            if chosen is None or chosen[k]:
                groups.setdefault(pair.dialogue, []).append((float(pair.asks), float(value)))
        assert callable(measure)
        positives = sum(int(a) for g in groups.values() for a, _ in g)
        return resample([np.array(g) for g in groups.values()], measure, positives)

    rows: list[Row] = [
        (f"grader, {name}, AUC", str(figure(scores, auc)), str(figure(plain, auc))),
        (
            f"grader, {name}, kappa of r_a = 1",
            str(figure([g == 1.0 for g in grades], kappa)),
            str(figure(plain >= best, kappa)),
        ),
        (f"grader, {name}, kappa of r_a > 0", str(figure([g > 0 for g in grades], kappa)), "-"),
    ]
    for kind in sorted({pair.kind for pair in made} - {"asks"}):
        chosen = [pair.kind in ("asks", kind) for pair in made]
        rows.append(
            (f"grader, {name}, AUC against: {kind}", str(figure(scores, auc, chosen)), str(figure(plain, auc, chosen)))
        )
    return rows


def _cosines(made: Sequence[Pair]) -> np.ndarray:
    encoder = Encoder()
    texts = list(dict.fromkeys(t for pair in made for t in [pair.question.text, *pair.question.information]))
    vectors = dict(zip(texts, encoder.vectors(texts), strict=True))
    return np.array(
        [max(float(vectors[p.question.text] @ vectors[item]) for item in p.question.information) for p in made]
    )


def timed_fit(train: Sequence[Labelled], size: str) -> tuple[EmbeddedJudge, str]:
    """The judge fitted on train dialogues only, and a line that says so."""
    started = time.perf_counter()
    judge = fit([one.dialogue for one in train[:FIT_CAP]], size="full" if size == "full" else "small")
    return judge, f"`{judge.name}`: {len(train[:FIT_CAP])} dialogues fitted in {time.perf_counter() - started:.0f} s"


def table(title: str, note: str, rows: Sequence[Row]) -> str:
    """A Markdown section."""
    lines = [f"### {title}", "", note, "", "| what | embedded judge | without learning |", "|---|---|---|"]
    return "\n".join(lines + [f"| {a} | {b} | {c} |" for a, b, c in rows]) + "\n"


def set_rows(judge: EmbeddedJudge, test: Sequence[Labelled]) -> list[Row]:
    """All figures of one test set."""
    extracted = [by_message(facts) for facts in judge.extractor.extract([one.dialogue for one in test])]
    rows = extractor_rows(test, extracted)
    rows += grader_rows("gold I*", judge, pairs(test, [by_start(one.gold, one) for one in test]))
    own = pairs(test, [by_start(found, one) for found, one in zip(extracted, test, strict=True)])
    return rows + grader_rows("extracted I*", judge, own)


def main() -> None:
    """Fits, measures, prints, and writes the section between the markers of docs/judge.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--data", type=Path, default=root.parent / "shared" / "data")
    parser.add_argument("--size", choices=["small", "full"], default="full")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    if not args.data.is_dir():
        parser.error(f"{args.data} holds no labelled dialogues; name their folder with --data")
    cap = 60 if args.quick else 10**9
    star, star_test = read(args.data / "star" / "train.jsonl"), read(args.data / "star" / "test.jsonl")[:cap]
    guided, spoken = read(args.data / "sgd" / "train.jsonl"), read(args.data / "primock57" / "train.jsonl")
    parts = []
    judge, line = timed_fit(star, args.size)
    parts.append(table(f"STAR test ({len(star_test)} dialogues)", line, set_rows(judge, star_test)))
    print(parts[-1], flush=True)
    judge, line = timed_fit([one for one in guided if one.service not in HELD_OUT], args.size)
    unseen = [one for one in guided if one.service in HELD_OUT][:cap]
    parts.append(table(f"Services never seen ({len(unseen)} dialogues)", line, set_rows(judge, unseen)))
    print(parts[-1], flush=True)
    rows = grader_rows("gold I*", judge, spoken_pairs(spoken, star_test))
    parts.append(table(f"PriMock57 without medical training ({len(spoken)} dialogues)", f"`{judge.name}`", rows))
    print(parts[-1], flush=True)
    page = root / "docs" / "judge.md"
    if page.exists() and not args.quick:
        text = page.read_text(encoding="utf-8")
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        page.write_text(
            f"{before}{BEGIN}\nSize `{args.size}`.\n\n" + "\n".join(parts) + f"{END}{after}", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
