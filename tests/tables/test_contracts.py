"""What every contract promises about itself."""

from __future__ import annotations

import pytest

from l2a.tables.contract import Column, Contract
from l2a.tables.contracts import ALL, BY_NAME, RUNS, SOURCES

FIXED = {
    "dialogues": "session_id, dialogue_version, source, ingested_at, updated_at, domain, goal, outcome, expert, split, "
    "messages",
    "quarantine": "source, position, reason, raw, ingested_at",
    "turns": "session_id, turn, is_final, context_end, dialogue_version, split, dropped_reason",
    "objectives": "session_id, turn, dialogue_version, extractor, information, decision, dropped_reason, status, error",
    "rollouts": "condition, model_version, session_id, turn, dialogue_version, sample, text, action, decision, status, "
    "error",
    "grades": "condition, session_id, turn, sample, extractor, grader, r_a, r_s, omega, status, error",
    "metrics": "evaluation_id, condition, metric, value, n, n_dialogues, ci_low, ci_high, extractor, grader, beta, "
    "created_at",
    "metric_slices": "evaluation_id, condition, slice, slice_value, metric, value, n, n_dialogues, ci_low, ci_high, "
    "extractor, grader, beta, created_at",
    "runs": "run_id, step, started_at, seconds, status, rows_in, rows_out, rows_set_aside, rows_failed, calls_paid, "
    "calls_saved, prompt_tokens, cached_tokens, completion_tokens, versions",
}
"""The columns that users' queries depend on."""


@pytest.mark.parametrize("name", FIXED)
def test_the_columns_that_users_depend_on_are_there(name) -> None:
    assert set(FIXED[name].split(", ")) <= set(BY_NAME[name].column_names)


@pytest.mark.parametrize("contract", ALL, ids=lambda contract: contract.name)
def test_a_contract_says_what_it_holds(contract) -> None:
    assert contract.grain.startswith("One row per ")
    assert contract.grain.endswith(".")
    assert all(column.meaning for column in contract.columns)
    assert len(set(contract.column_names)) == len(contract.columns)
    assert len({invariant.name for invariant in contract.invariants}) == len(contract.invariants)


def test_times_of_running_are_volatile_in_every_table() -> None:
    names = {"ingested_at", "created_at", "started_at", "seconds", "run_id", "evaluation_id"}
    for contract in ALL:
        assert {c.name for c in contract.columns if c.name in names} <= {c.name for c in contract.columns if c.volatile}
    assert "run_id" not in RUNS.stable_columns
    assert SOURCES.stable_columns == ("path", "size_bytes", "modified_at", "mapping")


def test_a_key_that_is_no_column_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValueError, match=r"things: key columns \['id'\] are not columns"):
        Contract("things", "One row per thing.", ("id",), (Column("name", "string", "its name"),))
