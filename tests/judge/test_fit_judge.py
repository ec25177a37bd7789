"""Which dialogues the embedded judge is fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from helpers import dialogue

from l2a.cli import main

if TYPE_CHECKING:
    from l2a.tables.warehouse import Warehouse


def test_a_judge_learns_from_no_dialogue_that_slice_takes_for_a_failure(
    warehouse: Warehouse, write_lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2a.judge import embedded

    class Seen(Exception):
        """Fitting itself is not what is looked at here."""

    def fit(dialogues: list[embedded.FitDialogue], **_: object) -> None:
        raise Seen(sorted(dialogue.session_id for dialogue in dialogues))

    monkeypatch.setattr(embedded, "fit", fit)
    outcomes = ("success", "failure", None)
    logs = write_lines("logs.jsonl", [dialogue(f"s-{outcome}", outcome=outcome) for outcome in outcomes])
    where = ["--warehouse", warehouse.root]
    assert CliRunner().invoke(main, ["ingest", logs, "--split", "train", *where]).exit_code == 0
    warehouse.spark.sql(f"UPDATE delta.`{warehouse.path('dialogues')}` SET split = 'train'")  # none by chance in dev

    def fitted_on(setting: str) -> str:
        config = tmp_path / "l2a.toml"
        config.write_text(f"[ingest]\nnull_outcome_is_success = {setting}\n")
        done = CliRunner().invoke(main, ["fit-judge", "--config", str(config), *where])
        assert isinstance(done.exception, Seen), done.output
        return str(done.exception)

    assert fitted_on("true") == "['s-None', 's-success']"
    assert fitted_on("false") == "['s-success']"
