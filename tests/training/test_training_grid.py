"""A grid trains for hours: what would fail at its end is said at its beginning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from l2a.cli import main


def test_a_page_that_cannot_be_written_is_refused_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trains(*_: Any) -> None:
        raise AssertionError("it trained")

    monkeypatch.setattr("training.grid.grid", trains)
    page = tmp_path / "missing" / "results.md"
    done = CliRunner().invoke(main, ["grid", "laptop", "--warehouse", str(tmp_path), "--output", str(page)])
    assert done.exit_code == 2, done.exception
    assert f"cannot write {page}: there is no folder {page.parent}" in done.output


def test_a_recipe_that_is_not_there_is_refused_before_any_log_is_read(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        main, ["grid", "no-such", str(tmp_path / "logs.jsonl"), "--warehouse", str(tmp_path / "w")]
    )
    assert done.exit_code == 2, done.exception
    assert "no-such" in done.output
    assert not (tmp_path / "w").exists()
