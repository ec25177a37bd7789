"""A grid's tables and page tell the grid's own evaluation, its own baseline, and answers beside their own grades."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from delta_rows import write
from graded import AT, JUDGE, logs, rollouts

from l2a.cli import main
from l2a.metrics.definitions import METRICS
from training import grid, results, results_page
from training.recipes import load

CONDITIONS = ("random", "sft", "grpo")


ABOUT = {"evaluation_id": "e-1", "beta": 2.0, "created_at": AT, **JUDGE}


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    logs(tmp_path, 4)
    for name in CONDITIONS:
        rollouts(tmp_path, name, f"{name}-1", 4, good=0.6, text=f"{name} asks")
    kinds = [{"condition": name, "metric": metric} for name in CONDITIONS for metric in METRICS]
    write(
        tmp_path,
        "metrics",
        [{**ABOUT, **kind, "value": 1.0, "n": 12, "n_dialogues": 4, "dropped_share": 0} for kind in kinds],
    )
    return tmp_path


def compared(warehouse: Path, baseline: str, difference: float) -> None:
    """Differences of the other conditions to one, all the same, as `l2a evaluate --baseline` leaves them."""
    others = [name for name in CONDITIONS if name != baseline]
    kinds = [{"baseline": baseline, "condition": name, "metric": metric} for name in others for metric in METRICS]
    ends = {"ci_low": difference, "ci_high": difference, "n_dialogues": 30, "called": "higher"}
    write(warehouse, "comparisons", [{**ABOUT, **kind, **ends, "difference": difference} for kind in kinds])


def page(warehouse: Path) -> str:
    return results_page.page(results.read(str(warehouse), 20, "e-1"), load("ci"), "l2a grid ci", {"grade": 60.0})


def test_differences_are_to_the_grids_baseline_whatever_else_was_compared(
    warehouse: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compared(warehouse, "sft", 0.25)
    compared(warehouse, "random", 0.75)
    results.show(results.read(str(warehouse), 20, "e-1"))
    printed = capsys.readouterr().out
    assert "minus sft" in printed and "0.250" in printed and "0.750" not in printed
    told = page(warehouse)
    part = told[told.index("## Differences to sft\n") :].split("## ")[1]
    assert "| grpo | 0.250" in part and "0.750" not in part and "| sft |" not in part


def test_a_grid_tells_of_its_own_evaluation_though_another_is_newer(
    warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared(warehouse, "sft", 0.25)
    newer = {**ABOUT, "evaluation_id": "e-2", "beta": 0.5, "grader": "g-2", "created_at": AT + dt.timedelta(days=1)}
    row = {**newer, "condition": "sft", "metric": "TR", "value": 7.5, "n": 12, "n_dialogues": 4, "dropped_share": 0}
    write(warehouse, "metrics", [row])
    monkeypatch.setattr(grid, "_train", lambda words: 0.0)
    monkeypatch.setattr(grid, "_measure", lambda words: (0.0, "e-1" if words[0] == "evaluate" else None))
    told = warehouse / "results.md"
    done = CliRunner().invoke(main, ["grid", "ci", "--warehouse", str(warehouse), "--output", str(told)])
    assert done.exit_code == 0, done.output
    assert "minus sft" in done.output and "7.5" not in done.output
    assert "Extractor and grader: x-1, g-1; beta 2;" in told.read_text() and "7.5" not in told.read_text()
    assert results.read(str(warehouse), 20, "e-1").after_first_comparisons, "of its own judges"


def test_an_answer_stands_beside_its_own_grade_only(warehouse: Path) -> None:
    retrained: dict[str, Any] = {"model_version": "sft-2", "text": "not graded yet", "decision": "CONTINUE"}
    place = {"session_id": "s-0 卡", "turn": 1, "dialogue_version": "v1", "sample": 0, "status": "ok"}
    write(warehouse, "rollouts", [{"condition": "sft", **place, **retrained}])
    told = page(warehouse)
    assert "| sft | sft asks |" in told and r"Last said: \<b\>Hi\</b\>." in told
    assert "not graded yet" not in told


def test_the_printed_tables_need_no_answer(warehouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compared(warehouse, "sft", 0.25)
    for table in ("rollouts", "grades"):
        for file in (warehouse / table).glob("*.parquet"):
            file.unlink()
    found = results.read(str(warehouse), 20, "e-1")
    results.show(found)
    assert "minus sft" in capsys.readouterr().out
    with pytest.raises(Exception, match="parquet"):
        results_page.page(found, load("ci"), "l2a grid ci", {})
