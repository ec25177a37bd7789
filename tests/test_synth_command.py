"""`l2a synth` as people type it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from l2a.errors import UsageError
from l2a.synth import LogSpec, lines, write_log
from l2a.synth.command import command


def synth(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_it_writes_a_log_and_prints_its_summary(tmp_path: Path) -> None:
    result = synth("--dialogues", 300, "--output", tmp_path / "new" / "log.jsonl", "--seed", 4)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["dialogues"] == 300 and summary["lines"] == sum(summary["expected"].values())
    assert summary["kinds"]["correction"] and "broken" not in summary["kinds"]
    assert "Wrote" in result.stderr
    assert len((tmp_path / "new" / "log.jsonl").read_bytes().splitlines()) == summary["lines"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["log.jsonl"]


def test_a_name_that_ends_in_gz_is_compressed_to_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl.gz"):
        synth("--dialogues", 40, "--output", tmp_path / name)
    assert gzip.decompress((tmp_path / "b.jsonl.gz").read_bytes()) == (tmp_path / "a.jsonl").read_bytes()
    assert (tmp_path / "b.jsonl.gz").read_bytes() == (tmp_path / "c.jsonl.gz").read_bytes()


def test_the_python_api_gives_the_same_lines(tmp_path: Path) -> None:
    shares = ("--correction-share", 0, "--late-share", 0, "--duplicate-share", 0)
    synth("--dialogues", 25, "--output", tmp_path / "log", "--bad-share", 0.5, *shares)
    assert (tmp_path / "log").read_bytes() == b"".join(line + b"\n" for line in lines(LogSpec(25, bad_share=0.5)))


def test_the_truth_lies_beside_the_log(tmp_path: Path) -> None:
    synth("--dialogues", 30, "--output", tmp_path / "log", "--truth", tmp_path / "truth", "--format", "events")
    known = [json.loads(line) for line in (tmp_path / "truth").read_text("utf-8").splitlines()]
    assert len({row["session_id"] for row in known}) == len(known) == 30


def test_nights_land_in_folders_by_date(tmp_path: Path) -> None:
    result = synth("--dialogues", 20, "--nights", 3, "--landing", tmp_path, "--start", "2026-02-27")
    assert list(json.loads(result.stdout)) == ["2026-02-27", "2026-02-28", "2026-03-01"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dt=2026-02-27", "dt=2026-02-28", "dt=2026-03-01"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "where to write"),
        (["--output", "a", "--landing", "b", "--nights", 2], "where to write"),
        (["--landing", "b"], "go together"),
        (["--landing", "b", "--nights", 2, "--days", 3], "--days"),
        (["--output", "a", "--truth", "a"], "cannot both"),
        (["--output", "a", "--format", "events", "--late-share", 0.1], "no versions"),
        (["--output", "a", "--bad-share", 1], "below 1"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(
    arguments: list[object], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = synth(*arguments)
    assert (result.exit_code, word in result.output) == (2, True)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_run_leaves_the_old_file_and_no_half_a_log(tmp_path: Path) -> None:
    output = tmp_path / "log.jsonl"
    output.write_text("old\n")

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_log(LogSpec(2_000), output, progress=stop)
    assert output.read_text() == "old\n" and len(list(tmp_path.iterdir())) == 1


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="Cannot write"):
        write_log(LogSpec(1), tmp_path / "file" / "log.jsonl")


def test_a_log_of_some_domains_holds_only_those(tmp_path: Path) -> None:
    output = tmp_path / "log.jsonl"
    result = synth("--dialogues", 60, "--domain", "bank/card_loss", "--domain", "hotel/booking", "--output", output)
    assert result.exit_code == 0
    found = {json.loads(line)["domain"] for line in output.read_text("utf-8").splitlines()}
    assert found == {"bank/card_loss", "hotel/booking"}
    refused = synth("--domain", "nowhere", "--output", tmp_path / "other.jsonl")
    assert (refused.exit_code, "There is no domain nowhere" in refused.output) == (2, True)
