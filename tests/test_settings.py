"""Where a setting comes from, and what is said about one that is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from l2a.errors import UsageError
from l2a.launch import jobs_folder
from l2a.options import settings_of
from l2a.registry import tracking_uri
from l2a.settings import Settings, load
from l2a.settings.example import example
from l2a.sql import storage

EXAMPLE = Path(__file__).parents[1] / "l2a.toml.example"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No environment and no file of this machine."""
    import os

    for name in [name for name in os.environ if name.startswith("L2A_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_an_option_wins_over_the_environment_over_the_file_over_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert load().warehouse == "./warehouse"
    (tmp_path / "l2a.toml").write_text('warehouse = "file"\n[ingest]\nmax_message_bytes = 7\nmax_line_bytes = 9\n')
    assert load().warehouse == "file"
    (tmp_path / "other.toml").write_text('warehouse = "other"')
    monkeypatch.setenv("L2A_CONFIG", str(tmp_path / "other.toml"))
    assert load().warehouse == "other"
    assert load(tmp_path / "l2a.toml").warehouse == "file"
    monkeypatch.delenv("L2A_CONFIG")
    monkeypatch.setenv("L2A_WAREHOUSE", "environment")
    monkeypatch.setenv("L2A_INGEST__MAX_MESSAGE_BYTES", "8")
    assert load().warehouse == "environment"
    # A section is put together from all of its sources.
    assert (load().ingest.max_message_bytes, load().ingest.max_line_bytes) == (8, 9)
    assert settings_of(None, "option").warehouse == "option"
    assert settings_of(None, None, ingest={"max_message_bytes": None}).ingest.max_message_bytes == 8
    assert settings_of(None, None, ingest={"max_message_bytes": 5}).ingest.max_message_bytes == 5


def test_a_setting_handed_over_as_a_keyword_is_refused_not_ignored() -> None:
    with pytest.raises(TypeError, match="warehouse"):
        Settings(warehouse="x")  # type: ignore[call-arg]


WRONG = {
    'warehose = "x"': r"warehose: Extra inputs are not permitted",
    "[ingest]\nmax_mesage_bytes = 1": r"ingest\.max_mesage_bytes: Extra inputs are not permitted",
    "[ingest]\nmax_message_bytes = 0": r"ingest\.max_message_bytes: Input should be greater than or equal to 1",
    "[ingest]\nsplit_shares = [0, 0, 0]": r"ingest: .*split_shares needs three numbers",
    "max_failed_share = 1.5": r"max_failed_share: Input should be less than or equal to 1",
    "[spark]\nshuffle_partitions = 'many'": r"spark\.shuffle_partitions: Input should be a valid integer",
    "[llm]\nendpoint = 'x'": r"llm\.endpoint: Extra inputs are not permitted",
    "[spark]\nmaster = 'local[two]'": r"spark\.master: .*local\[two\] is no master .* write local\[4\]",
    "warehouse = ": r"l2a\.toml is not TOML: ",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_setting_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "l2a.toml").write_text(text)
    with pytest.raises(UsageError, match=WRONG[text]) as raised:
        load()
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    ("variable", "value"), [("L2A_LLM__ENDPOINTS", "http://x"), ("L2A_SPARK__CONF", "a=b"), ("L2A_INGEST", "x")]
)
def test_a_list_or_a_table_in_the_environment_that_is_not_json_is_named_with_how_to_write_it(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from l2a.cli import main

    monkeypatch.setenv(variable, value)
    done = CliRunner().invoke(main, ["status"])
    assert done.exit_code == 2 and isinstance(done.exception, SystemExit), done.exception
    assert variable in done.output and "JSON" in done.output


def test_a_mistyped_variable_of_a_section_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L2A_SPARK__MASTR", "local[1]")
    with pytest.raises(UsageError, match=r"spark\.mastr: Extra inputs are not permitted"):
        load()


@pytest.mark.parametrize("written", ["~/my w", "~/my w/", "file://{home}/my%20w", "file:{home}/my%20w", "{home}/my w"])
def test_a_folder_is_the_same_one_to_all_who_read_it_however_it_is_written(
    written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from l2a.tables.warehouse import Warehouse

    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "my w"
    folder.mkdir()
    given = written.format(home=tmp_path)
    settings = load(None, {"warehouse": given})
    assert settings.warehouse == str(folder)
    assert jobs_folder(settings) == folder / "_training" / "jobs"
    assert jobs_folder(load(None, {"train": {"folder": given}})) == folder / "jobs"
    assert tracking_uri(settings) == f"sqlite:///{folder}/_mlflow/mlflow.db"
    # Also to those who have no settings.
    assert storage.find(given) == storage.Local(str(folder))
    assert Warehouse(None, given).root == str(folder)  # type: ignore[arg-type]


def test_a_url_stays_one_and_a_folder_of_another_machine_is_refused() -> None:
    assert load(None, {"warehouse": "s3://bucket/a%20b/"}).warehouse == "s3://bucket/a%20b"
    for wrong in ("file://data/w", "file://"):
        with pytest.raises(UsageError, match=f"{wrong} names no folder of this machine: write a path"):
            load(None, {"warehouse": wrong})


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"there is no settings file gone\.toml"):
        load("gone.toml")
    with pytest.raises(UsageError, match=r"the settings file \. cannot be read \(Is a directory\)"):
        load(".")
    monkeypatch.setenv("L2A_CONFIG", "gone too.toml")
    with pytest.raises(UsageError, match=r"there is no settings file gone too\.toml"):
        load()


def test_the_example_is_up_to_date_and_says_the_defaults(tmp_path: Path) -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example(), "python -m l2a.settings > l2a.toml.example"
    tomllib.loads(example())
    (tmp_path / "example.toml").write_text(example(), encoding="utf-8")
    assert load(tmp_path / "example.toml") == load()


def test_tables_may_be_added_to_a_copy_of_the_example_or_their_comments_taken_away(tmp_path: Path) -> None:
    copy = tmp_path / "copy.toml"
    copy.write_text(example() + '\n[spark.conf]\n"a.b" = "c"\n[llm.prices.judge]\nprompt = 1\ncompletion = 2\n')
    assert load(copy).spark.conf == {"a.b": "c"} and load(copy).llm.prices["judge"].completion == 2
    for table in ("[spark.conf]", "[llm.prices]"):
        lines = example().splitlines()
        at = lines.index(f"# {table}")
        lines[at : at + 2] = [line.removeprefix("# ") for line in lines[at : at + 2]]
        copy.write_text("\n".join(lines))
        assert load(copy) != load()
        assert "name" in (load(copy).spark.conf if table == "[spark.conf]" else load(copy).llm.prices)
