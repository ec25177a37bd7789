"""Three sets of real logs: the whole loop on one of them, all of them in one warehouse, and questions in SQL."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest
from command_line import digests, l2a, versions

from l2a.sql.engine import connect, query

pytestmark = [pytest.mark.prove, pytest.mark.timeout(7200)]

SETS = ("star/train.jsonl", "sgd/train.jsonl", "primock57/train.jsonl")
README = Path(__file__).parents[2] / "sql" / "README.md"
QUESTIONS = dict(
    re.findall(r"^### \d+\. (.+?)\n.*?```sql\n(.+?)```", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
)
SECONDS = 2.0
"""What an analyst waits for an answer at most; reported here, and judged by who reads the report."""


@pytest.fixture(scope="module")
def star(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The log, and the warehouse that one command makes from it."""
    log = Path(__file__).parents[3] / "shared" / "data" / SETS[0]
    if not log.is_file():
        pytest.skip(f"no real logs at {log}")
    warehouse = tmp_path_factory.mktemp("star") / "warehouse"
    started = time.monotonic()
    done = l2a("run", log, "--warehouse", warehouse)
    print(f"\nl2a run: {time.monotonic() - started:.0f} s\n{done.stdout}")
    return log, warehouse


def test_the_expert_lies_above_random_with_intervals_apart(star: tuple[Path, Path]) -> None:
    sql = "SELECT condition, tr_ci_low, tr_ci_high FROM metric_table WHERE is_newest"
    found = {condition: ends for condition, *ends in query(connect(str(star[1])), sql).rows}
    assert found["expert"][0] > found["random"][1], found


def test_a_second_run_changes_no_table(star: tuple[Path, Path]) -> None:
    log, warehouse = star
    before = versions(warehouse), digests(warehouse)
    again = l2a("run", log, "--warehouse", warehouse)
    assert "every file was read before, nothing to do" in again.stderr
    assert (versions(warehouse), digests(warehouse)) == before


def test_three_sets_live_in_one_warehouse(star: tuple[Path, Path], tmp_path: Path) -> None:
    log, warehouse = star
    shared = tmp_path / "shared"
    shutil.copytree(warehouse, shared)
    folder = log.parents[1]
    expected = {name: sum(1 for line in (folder / name).open("rb") if line.strip()) for name in SETS}
    for name in SETS:
        l2a("ingest", folder / name, "--warehouse", shared)
    l2a("slice", "--warehouse", shared)
    connection = connect(str(shared))
    found = dict(query(connection, "SELECT source, count(*) FROM dialogues GROUP BY source").rows)
    assert {name: found[f"file:{folder / name}"] for name in SETS} == expected
    unsliced = "SELECT count(*) FROM dialogues d ANTI JOIN turns t ON t.session_id = d.session_id"
    assert list(query(connection, unsliced).rows) == [(0,)]
    assert list(query(connection, "SELECT count(*) FROM quarantine").rows) == [(0,)]


def test_every_question_of_the_guide_is_answered(star: tuple[Path, Path]) -> None:
    assert len(QUESTIONS) >= 10
    slow = []
    for question, sql in QUESTIONS.items():
        started = time.monotonic()
        done = l2a("sql", sql, "--format", "csv", "--warehouse", star[1])
        seconds = time.monotonic() - started
        print(f"{seconds:5.2f} s  {len(done.stdout.splitlines()) - 1:5} rows  {question}")
        slow += [question] if seconds > SECONDS else []
    print(f"{len(slow)} of {len(QUESTIONS)} took more than {SECONDS} s, the start of the process included")
