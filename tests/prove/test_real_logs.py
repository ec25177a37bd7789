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


IDENTITIES = """
    WITH found AS (
        FROM (FROM metric_slices SELECT condition, slice, slice_value, metric, value, n)
        PIVOT (any_value(value) AS v, any_value(n) AS n FOR metric IN ('WA', 'WC', 'WS', 'AA', 'FC', 'TR'))
    ),
    parts AS (
        SELECT *, WC_n / AA_n AS p, coalesce(WA_v, 0) AS wa, coalesce(WC_v, 0) AS wc, coalesce(WS_v, 0) AS ws FROM found
    )
    SELECT
        count(*),
        count(DISTINCT slice_value) FILTER (WHERE slice = 'domain'),
        max(abs(AA_v - (p * wc + (1 - p) * ws))),
        max(abs(TR_v - (FC_v + p * wc * (1 + 2 * wa) + (1 - p) * ws * 3)))
    FROM parts
"""


def test_the_whole_loop_over_three_sets_has_metrics_by_domain(star: tuple[Path, Path], tmp_path: Path) -> None:
    """With one judge, fitted on all three; the identities of the metrics hold on each slice."""
    done = l2a("run", *(star[0].parents[1] / name for name in SETS), "--warehouse", tmp_path)
    print(f"\n{done.stdout}")
    connection = connect(str(tmp_path))
    by_domain = "SELECT * FROM metric_slices WHERE slice = 'domain' AND metric = 'TR' AND condition = 'expert'"
    print(connection.sql(f"SELECT slice_value, value, ci_low, ci_high, n FROM ({by_domain}) ORDER BY 1"))
    ((cells, domains, aa, tr),) = query(connection, IDENTITIES).rows
    print(f"{cells} slices, {domains} domains; off by {aa:.1e} (AA) and {tr:.1e} (TR) at most")
    assert domains > 10 and max(aa, tr) < 1e-9


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
