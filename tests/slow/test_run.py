"""`l2a run` as a user types it: from logs to a metric table, and a second time for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import SMALL_JUDGE, contents, digests, l2a, versions

from l2a.open_judge import open_embedded
from l2a.settings import load
from l2a.sql.engine import connect, query
from l2a.synth import LogSpec, write_log
from training.data import newest_versions, read, resolve_extractor
from training.reward import questions_of, row

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run") / "logs.jsonl"
    write_log(LogSpec(dialogues=200, seed=7, bad_share=0.02, correction_share=0.03), path)
    return path


@pytest.fixture(scope="module")
def warehouse(log: Path) -> Path:
    path = log.parent / "warehouse"
    done = l2a("run", log, "--warehouse", path, **SMALL_JUDGE)
    for condition in ("expert", "random"):
        assert condition in done.stdout, "results go to standard output"
    return path


def test_the_expert_lies_above_random_with_intervals_apart(warehouse: Path) -> None:
    rows = query(
        connect(str(warehouse)), "SELECT condition, tr, tr_ci_low, tr_ci_high FROM metric_table WHERE is_newest"
    ).rows
    found = {condition: tuple(values) for condition, *values in rows}
    assert set(found) == {"expert", "random"}
    assert found["expert"][1] > found["random"][2], found


def test_every_line_is_in_one_count_and_every_step_ran_once(warehouse: Path) -> None:
    answer = query(connect(str(warehouse)), "SELECT step, difference FROM reconciliation").rows
    assert all(difference in (0, None) for _, difference in answer)
    steps = sorted(row[0] for row in query(connect(str(warehouse)), "SELECT step FROM runs").rows)
    assert steps == sorted(["ingest", "slice", "fit-judge", "extract", "rollout", "rollout", "grade", "evaluate"])


def test_a_training_would_be_paid_what_the_jobs_grade(warehouse: Path) -> None:
    where, settings = str(warehouse), load(options={"warehouse": str(warehouse)})
    versions_now = newest_versions(where)
    name = resolve_extractor(where, "embedded", versions_now)
    turns = {(one.dialogue.session_id, one.turn): one for one in read(where, versions_now, name, "eval")}
    graded = query(
        connect(where),
        "SELECT session_id, turn, text, r_a FROM rollouts JOIN grades USING (condition, session_id, turn, sample) "
        "WHERE r_a IS NOT NULL",
    ).rows
    graded = [one for one in graded if turns[one[0], one[1]].information]
    rows = [row(turns[session, turn], []) for session, turn, _, _ in graded]
    columns = {key: [one[key] for one in rows] for key in rows[0]}
    told = open_embedded(settings, name).grader.grade(questions_of(columns, [text for _, _, text, _ in graded]))
    assert len(graded) > 100
    assert [judgement.r_a for judgement in told] == [r_a for *_, r_a in graded]


def test_a_second_run_changes_no_table_and_says_so(log: Path, warehouse: Path) -> None:
    before = versions(warehouse), digests(warehouse), contents(warehouse)["runs"]
    again = l2a("run", log, "--warehouse", warehouse, **SMALL_JUDGE)
    assert again.stderr.count("nothing to do") == 7
    assert (versions(warehouse), digests(warehouse), contents(warehouse)["runs"]) == before
