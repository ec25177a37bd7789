"""The sections of the report, and the whole page: one file that needs no other and runs no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from itertools import groupby

import l2a
from l2a.metrics.definitions import METRIC_NAMES, top
from l2a.report.contents import SLICES, Contents, Row
from l2a.report.drawings import measured, share
from l2a.report.markup import Child, Html, element, joined, table

LAST_RUNS = 20
SHOWN_TURNS = 20
_SLICE_TITLES = {
    "after_first_turn": "Turns after the first, and first turns",
    "turn_number": "By turn",
    "domain": "By domain",
}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""Should a text ever stand unescaped, a browser still runs nothing and fetches nothing."""


def page(contents: Contents, title: str) -> str:
    """The report as HTML."""
    chosen = contents.evaluation
    parts: list[Html | None] = [element("h1", title)]
    if chosen is None:
        parts.append(element("p", "Nothing is evaluated yet: `l2a evaluate` makes the metrics."))
    else:
        about = (
            f"Evaluation {chosen.evaluation_id} of {chosen.created_at:%Y-%m-%d %H:%M} UTC: extractor "
            f"{chosen.extractor}, grader {chosen.grader}, beta {chosen.beta:g}. Intervals are 95 %, over dialogues."
        )
        parts += [
            element("p", about),
            _section("Metrics", _metrics(contents.metrics(), chosen.beta)),
            _section("Compared in pairs", *_comparisons(contents.comparisons(), chosen.beta)),
            *[_section(_SLICE_TITLES[name], *_slices(contents.slices(name), chosen.beta)) for name in SLICES],
        ]
    parts += [
        _section("From dialogues to objectives", _funnel(contents.funnel())),
        _section("Turns left out", _reasons(contents.drop_reasons())),
        _section("Rejected lines", _quarantine(contents.quarantine())),
        _section("Last runs", _runs(contents.runs(LAST_RUNS))),
    ]
    if chosen is not None:
        parts.append(_section("Answers side by side", *_rollouts(contents.rollouts(SHOWN_TURNS))))
    style = Html(files(__package__).joinpath("style.css").read_text(encoding="utf-8"))
    head = element(
        "head",
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        element("title", title),
        element("style", style),
    )
    foot = element("footer", f"l2a {l2a.__version__}")
    return f'<!DOCTYPE html>\n<html lang="en">{head}{element("body", *parts, foot)}</html>\n'


def _section(title: str, *children: Html | None) -> Html | None:
    """A section; None where there is nothing to say."""
    there = [child for child in children if child is not None]
    return element("section", element("h2", title), *there) if there else None


def _metrics(rows: Sequence[Row], beta: float) -> Html | None:
    """Conditions by falling TR, with what stands beside the metrics: rollouts, dialogues, what is ungraded."""
    if not rows:
        return None
    lines = []
    for condition, metrics in _by_reward(rows, "condition"):
        size = metrics.get("TR", {})
        beside: list[Child] = [f"{size.get('n', 0):,}", f"{size.get('n_dialogues', 0):,}"]
        beside.append(share(size.get("ungraded_share")))
        lines.append([condition, *_cells(metrics, beta), *beside])
    dropped = share(rows[0]["dropped_share"])
    heads = ["condition", *METRIC_NAMES, "rollouts", "dialogues", "ungraded"]
    return joined([table(heads, lines), element("p", f"Left out: {dropped} of the eval turns.")])


def _comparisons(rows: Sequence[Row], beta: float) -> list[Html]:
    found = []
    for baseline, of_baseline in groupby(rows, lambda row: row["baseline"]):
        lines = []
        for condition, metrics in groupby(of_baseline, lambda row: row["condition"]):
            by_metric = {row["metric"]: row for row in metrics}
            lines.append([condition, *[_difference(by_metric.get(name), beta) for name in METRIC_NAMES]])
        found.append(table([f"minus {baseline}", *METRIC_NAMES], lines))
    return found


def _difference(row: Row | None, beta: float) -> Html:
    if row is None or row["difference"] is None:
        return Html("–")
    reach = top(row["metric"], beta) / 2
    cell = measured(row["difference"], row["ci_low"], row["ci_high"], -reach, reach)
    return joined([cell, element("span", row["called"], class_=f"called {row['called'].split()[0]}")])


def _slices(rows: Sequence[Row], beta: float) -> list[Html]:
    found = []
    for value, of_value in groupby(rows, lambda row: row["slice_value"]):
        lines = [[name, *_cells(metrics, beta)] for name, metrics in _by_reward(list(of_value), "condition")]
        found.append(table(["condition", *METRIC_NAMES], lines, caption=value))
    return found


def _funnel(rows: Sequence[Row]) -> Html | None:
    names = ("dialogues", "successful", "sliced", "turns", "usable_turns", "extracted", "usable_objectives",
             "continue_turns", "stop_turns")  # fmt: skip
    lines = [[row["domain"] or "unknown", *[f"{row[name]:,}" for name in names]] for row in rows]
    return table(["domain", *[name.replace("_", " ") for name in names]], lines) if lines else None


def _reasons(rows: Sequence[Row]) -> Html | None:
    lines = [[row["split"], row["reason"], f"{row['turns']:,}", share(row["share"])] for row in rows]
    return table(["split", "reason", "turns", "share"], lines) if lines else None


def _quarantine(rows: Sequence[Row]) -> Html | None:
    lines = [
        [row["reason_kind"], f"{row['lines']:,}", share(row["share"]), row["example_reason"], row["example_raw"]]
        for row in rows
    ]
    return table(["reason", "lines", "share", "an example", "its line"], lines) if lines else None


def _runs(rows: Sequence[Row]) -> Html | None:
    names = ("rows_in", "rows_out", "rows_set_aside", "rows_failed", "calls_paid", "calls_saved")
    lines = [
        [
            f"{row['started_at']:%Y-%m-%d %H:%M}", row["step"], row["subject"], row["status"],
            *[f"{row[name] or 0:,}" for name in names], f"{row['seconds']:,.1f}", row["error"],
        ]
        for row in rows
    ]  # fmt: skip
    heads = ["started (UTC)", "step", "subject", "status", *[name.replace("_", " ") for name in names], "seconds"]
    return table([*heads, "error"], lines) if lines else None


def _rollouts(rows: Sequence[Row]) -> list[Html]:
    """A card a turn: what the user said last, what was worth asking, and what each condition said."""
    if not rows:
        return []
    rule = f"The first {SHOWN_TURNS} turns by a hash of session and turn, sample 0 of every condition."
    found = [element("p", rule)]
    for _, group in groupby(rows, lambda row: (row["session_id"], row["turn"])):
        answers = list(group)
        first = answers[0]
        wanted = "; ".join(first["information"] or []) or "nothing is left to learn"
        lines = [[row["condition"], element("span", row["text"], class_="said"), _grade(row)] for row in answers]
        found.append(
            element(
                "article",
                element("h3", f"{first['session_id']}, turn {first['turn']}, {first['domain'] or 'unknown domain'}"),
                element("p", f"{first['last_role']}: ", element("q", first["last_message"], dir="auto")),
                element("p", f"{first['target']}: {wanted}", dir="auto"),
                table(["condition", "answer", "grade"], lines),
            )
        )
    return found


def _grade(row: Row) -> str:
    if row["r_a"] is None and row["omega"] is None:
        return f"none: {row['error'] or 'not graded'}"
    parts = (("R_a", row["r_a"]), ("R_s", row["r_s"]), ("Omega", row["omega"]))
    return ", ".join(f"{name} {value:g}" for name, value in parts if value is not None)


def _cells(metrics: dict[str, Row], beta: float) -> list[Html]:
    found = []
    for name in METRIC_NAMES:
        row = metrics.get(name)
        value, low, high = (None,) * 3 if row is None else (row["value"], row["ci_low"], row["ci_high"])
        found.append(measured(value, low, high, 0.0, top(name, beta)))
    return found


def _by_reward(rows: Iterable[Row], by: str) -> list[tuple[str, dict[str, Row]]]:
    """Metric -> row of each condition, by falling TR."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        found.setdefault(row[by], {})[row["metric"]] = row

    def reward(item: tuple[str, dict[str, Row]]) -> tuple[float, str]:
        value = item[1].get("TR", {}).get("value")
        return (float("inf") if value is None else -float(value), item[0])

    return sorted(found.items(), key=reward)
