"""The page: one file without scripts and addresses, every text of a log as text, the same bytes for the same tables."""

from __future__ import annotations

import datetime as dt
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from delta_rows import write
from graded import AT, JUDGE, logs, rollouts
from hypothesis import given
from hypothesis import strategies as st
from registered import settings_of

from l2a.cli import main
from l2a.metrics.definitions import METRIC_NAMES
from l2a.report.contents import Contents
from l2a.report.drawings import measured
from l2a.report.markup import element
from l2a.report.page import page
from l2a.sql.status import REPLACING

EVIL = "</q><script>alert(1)</script><img src=x onerror=alert(1)> \"'&amp; 卡 🙂 ‮rtl \x00\x1b[31m"
MEASURED = {"value": 0.5, "n": 90, "n_dialogues": 30, "ci_low": 0.4, "ci_high": 0.6, "beta": 2.0, "created_at": AT}


class Elements(HTMLParser):
    """What a browser makes of a page: its elements, its text, and whether they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.said: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two conditions, one of them with a name and answers that would like to be markup."""
    root = tmp_path_factory.mktemp("warehouse")
    logs(root, 30)
    rollouts(root, "random", "t", 30, good=0.1)
    rollouts(root, EVIL, "t", 30, good=0.8, text=EVIL)
    about = {"evaluation_id": "e-1", **JUDGE, **MEASURED, "ungraded_share": 0.01}
    tried = {"evaluation_id": "e-3", "created_at": AT.replace(year=2027), "beta": 0.5}
    names = [(condition, metric) for condition in ("random", EVIL) for metric in METRIC_NAMES]
    write(
        root,
        "metrics",
        [{**about, "condition": c, "metric": m, "dropped_share": 0.25} for c, m in names]
        + [{**about, "evaluation_id": "e-0", "condition": "old", "metric": "TR", "created_at": AT.replace(year=2025)}]
        + [{**about, **tried, "condition": "only tried", "metric": "TR"}],
    )
    sliced = [{**about, "condition": c, "metric": m, "slice": "domain", "slice_value": EVIL} for c, m in names]
    write(root, "metric_slices", sliced)
    compared = {"difference": 0.2, "called": "higher", "baseline": "random", "baseline_value": 0.3}
    write(
        root,
        "comparisons",
        [{**about, **compared, "ci_low": 0.1, "ci_high": 0.3, "condition": EVIL, "metric": m} for m in METRIC_NAMES],
    )
    newer = {"evaluation_id": "e-2", "created_at": AT.replace(year=2027), "beta": 4.0, "condition": "other beta"}
    write(root, "comparisons", [{**about, **compared, **newer, "metric": "TR", "ci_low": 0.1, "ci_high": 0.3}])
    write(root, "quarantine", [{"source": "a", "position": 1, "reason": "no JSON: <b>", "raw": EVIL}])
    write(
        root,
        "runs",
        [
            {"run_id": "r", "step": "ingest", "status": "failed", "error": EVIL, "started_at": AT, "seconds": 2.0},
            {"run_id": "m", "step": "slice", "status": "failed", "error": REPLACING, "started_at": AT, "seconds": 0.0},
            {
                "run_id": "s",
                "step": "slice",
                "status": "ok",
                "started_at": AT + dt.timedelta(seconds=1),
                "seconds": 2.0,
            },
        ],
    )
    return root


@pytest.fixture(scope="module")
def shown(warehouse: Path) -> str:
    return page(Contents(settings_of(warehouse)), f"Report {EVIL}")


def test_what_logs_and_models_say_is_text_and_never_markup(shown: str) -> None:
    found = Elements(shown)
    assert found.open == [], "every element is closed"
    assert not {"script", "img", "link", "iframe"} & set(found.names)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert not {"src", "href", "style"} & {name for name, _ in found.attributes}, "the page needs no other file"
    assert not re.search(r"url\(|@import|https?://", shown)
    assert "\x00" not in shown and "\x1b" not in shown
    said = "".join(found.said)
    assert said.count("<script>alert(1)</script>") > 20, "and it is all there to be read"


def test_the_newest_evaluation_is_shown_with_all_around_it(shown: str) -> None:
    said = Elements(shown)
    text = " ".join(said.said)
    for part in ("Metrics", "Compared in pairs", "By domain", "From dialogues to objectives", "Turns left out",
                 "Rejected lines", "Last runs", "Answers side by side"):  # fmt: skip
        assert part in said.said
    assert "Left out: 25.0% of the eval turns." in said.said
    assert "higher" in said.said and "no JSON" in said.said
    assert "since: noon" in text and "R_a 1" in text
    assert "old" not in said.said, "another evaluation's rows do not stand beside these"
    assert not {"other beta", "only tried"} & set(said.said), "rewards of another beta are other numbers"
    assert said.said.count("slice") == 1 and REPLACING not in said.said, "the mark before a run that ended ok"
    assert said.names.count("svg") == 2 * len(METRIC_NAMES) * 2 + len(METRIC_NAMES), "each interval is drawn"
    assert said.names.count("article") == 20, "as many turns as the rule picks"


def test_the_same_tables_give_the_same_page_and_the_same_turns(warehouse: Path, shown: str) -> None:
    assert page(Contents(settings_of(warehouse)), f"Report {EVIL}") == shown
    picked = [(row["session_id"], row["turn"]) for row in Contents(settings_of(warehouse)).rollouts(5)]
    assert len(set(picked)) == 5 and len(picked) == 10
    assert picked == [(row["session_id"], row["turn"]) for row in Contents(settings_of(warehouse)).rollouts(20)][:10]


def test_an_empty_warehouse_has_a_page_too(tmp_path: Path) -> None:
    found = Elements(page(Contents(settings_of(tmp_path)), "Report"))
    assert any("Nothing is evaluated yet" in text for text in found.said)


def test_the_command_writes_one_file(warehouse: Path, tmp_path: Path) -> None:
    target = tmp_path / "页.html"
    done = CliRunner().invoke(main, ["report", "--warehouse", str(warehouse), "--output", str(target)])
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{target}\n"
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [path.name for path in tmp_path.iterdir()] == ["页.html"]
    nowhere = str(tmp_path / "no" / "report.html")
    done = CliRunner().invoke(main, ["report", "--warehouse", str(warehouse), "--output", nowhere])
    assert done.exit_code == 2 and "cannot write" in done.output
    folder = tmp_path / "folder"
    folder.mkdir()
    done = CliRunner().invoke(main, ["report", "--warehouse", str(warehouse), "--output", str(folder)])
    assert done.exit_code == 2 and "it is a folder" in done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "页.html"]


@given(st.text(), st.text())
def test_any_text_comes_back_as_it_is(text: str, attribute: str) -> None:
    found = Elements(element("p", text, title=attribute))
    assert found.names == ["p"] and found.open == []
    kept = "".join(c for c in text if c.isprintable() or ord(c) > 159)
    said = "".join(found.said)
    assert "".join(c for c in said if c.isprintable() or ord(c) > 159).replace("�", "") == kept.replace("�", "")


def test_a_value_is_drawn_within_its_range() -> None:
    drawn = measured(0.5, -2.0, 9.0, 0.0, 1.0)
    assert 'x1="2.0"' in drawn and 'x2="108.0"' in drawn, "an interval beyond the range ends at its edge"
    assert measured(None, None, None, 0, 1) == "–"
    assert 'class="zero"' in measured(0.1, 0.0, 0.2, -1, 1)
