"""Which dialogues the embedded judge is fitted on, and what fitting leaves in the tables."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from helpers import Killed, dialogue, dicts

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


class Fitted:
    """A judge that took no time to learn."""

    def __init__(self, size: str) -> None:
        self.name = f"embedded-{size}"

    def save(self, folder: str) -> None:
        (Path(folder) / "judge.json").write_text(self.name)


def test_killed_between_its_writes_it_is_one_run_and_the_size_last_asked_for_is_the_newest(
    warehouse: Warehouse, write_lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2a.judge import embedded, store
    from l2a.mapping import load
    from l2a.settings import IngestSettings, JudgeSettings
    from l2a.tables.contracts import JUDGES, RUNS
    from l2a.tables.warehouse import Warehouse
    from spark_jobs.fit_judge import fit_judge
    from spark_jobs.ingest import ingest
    from spark_jobs.judging import newest_judge

    def dies(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr(embedded, "fit", lambda dialogues, size, **_: Fitted(size))
    monkeypatch.setattr(store, "load", lambda artifact: artifact)
    logs = write_lines("logs.jsonl", [dialogue("s", outcome="success")])
    ingest(warehouse, [logs], load(None), IngestSettings(split_shares=(1, 0, 0)))

    def runs() -> int:
        return sum(row["step"] == "fit-judge" for row in dicts(warehouse, RUNS))

    small, full = JudgeSettings(size="small"), JudgeSettings(size="full")
    for write in ("append_once", "upsert"):  # the row in `runs`, and the judge
        with monkeypatch.context() as dying:
            dying.setattr(Warehouse, write, dies)
            with pytest.raises(Killed):
                fit_judge(warehouse, small)
        assert newest_judge(warehouse) is None
    assert fit_judge(warehouse, small) == fit_judge(warehouse, small) == "embedded-small"
    assert runs() == 1

    for number, (settings, name) in enumerate([(full, "embedded-full"), (small, "embedded-small")], start=2):
        assert fit_judge(warehouse, settings) == name
        newest = newest_judge(warehouse)
        assert newest is not None and newest["name"] == name
        assert runs() == number
    assert len(dicts(warehouse, JUDGES)) == 2

    files = Path(store.path(warehouse.root, "embedded-small"))
    shutil.rmtree(files)  # as in a warehouse that was copied without what begins with _
    assert fit_judge(warehouse, small) == "embedded-small" and files.is_dir()
    assert len(dicts(warehouse, JUDGES)) == 2
