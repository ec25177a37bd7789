"""`metric_slices`: each slice is what the metrics are over its rows alone, and the method's identities hold there."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import dicts, open_warehouse
from metric_rows import JUDGE, SETTINGS, SKILL, fill

from l2a.metrics import METRIC_NAMES, SUMS
from l2a.metrics.arrays import metric_arrays
from l2a.tables.contracts import GRADES, METRIC_CUBE, METRIC_SLICES, METRICS, OBJECTIVES, ROLLOUTS, RUNS, TURNS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from l2a.tables.warehouse import Warehouse

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def evaluated(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    from spark_jobs.evaluate import evaluate

    warehouse = open_warehouse(spark, tmp_path_factory.mktemp("slices") / "warehouse")
    fill(warehouse)
    evaluate(warehouse, JUDGE, SETTINGS)
    return warehouse


@pytest.fixture(scope="module")
def slices(evaluated: Warehouse) -> Rows:
    return dicts(evaluated, METRIC_SLICES)


@pytest.fixture(scope="module")
def metrics(evaluated: Warehouse) -> Rows:
    return dicts(evaluated, METRICS)


def values(rows: Rows, of: str = "value") -> dict[tuple[str, ...], dict[str, Any]]:
    """(condition, slice, slice_value) -> metric -> value."""
    found: dict[tuple[str, ...], dict[str, Any]] = defaultdict(dict)
    for row in rows:
        found[row["condition"], row.get("slice", "all"), row.get("slice_value", "all")][row["metric"]] = row[of]
    return found


def test_every_slice_has_its_values_and_rare_experts_are_other(slices: Rows) -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for row in slices:
        found[row["slice"]].add(row["slice_value"])
    assert found == {
        "domain": {"bank", "问诊", "unknown"},
        "turn_number": {"1", "2", "3", "4", "5", "6+"},
        "after_first_turn": {"true", "false"},
        "expert": {"e-5", "e-0", "e-1", "other", "unknown"},
        "month": {"2026-10", "2026-11", "2026-12", "unknown"},
    }


def test_slices_and_metrics_are_one_evaluation_with_seven_metrics_each(slices: Rows, metrics: Rows) -> None:
    assert {row["evaluation_id"] for row in slices} == {row["evaluation_id"] for row in metrics}
    assert len(metrics) == 7 * len(SKILL)
    assert all(set(of_one) == set(METRIC_NAMES) for of_one in values(slices).values())


def test_rollouts_and_ungraded_ones_of_a_slice_add_up_to_all(slices: Rows, metrics: Rows) -> None:
    for name in ("WC", "AA"):
        for condition in SKILL:
            (whole,) = [r["n"] for r in metrics if (r["condition"], r["metric"]) == (condition, name)]
            for of in ("domain", "turn_number", "after_first_turn", "expert", "month"):
                mine = [r for r in slices if (r["condition"], r["metric"], r["slice"]) == (condition, name, of)]
                assert sum(row["n"] for row in mine) == whole, (condition, of)
                assert max(row["n_dialogues"] for row in mine) < 60


def test_identities_hold_on_every_slice(slices: Rows, metrics: Rows) -> None:
    known, counts = 0, values(slices + metrics, "n")
    for key, metric in values(slices + metrics).items():
        n = counts[key]
        p = n["WC"] / n["AA"]
        wa, wc, ws = (metric[name] or 0.0 for name in ("WA", "WC", "WS"))
        assert metric["AA"] == pytest.approx(p * wc + (1 - p) * ws, abs=1e-9), key
        if metric["FC"] is not None:  # null where right CONTINUE answers exist and none could be graded
            total = metric["FC"] + p * wc * (1 + 2 * wa) + (1 - p) * ws * 3
            assert metric["TR"] == pytest.approx(total, abs=1e-9), key
            known += 1
    assert known > 70


def test_a_slice_is_the_metrics_of_its_rows_alone(evaluated: Warehouse, slices: Rows, metrics: Rows) -> None:
    """R_s needs no grade, so AA is its plain mean: over rows joined by hand, turn by turn."""
    usable = {(r["session_id"], r["turn"]) for r in dicts(evaluated, OBJECTIVES) if r["dropped_reason"] is None}
    usable &= {(r["session_id"], r["turn"]) for r in dicts(evaluated, TURNS) if r["split"] == "eval"}
    right: dict[tuple[str, str], list[float]] = defaultdict(list)
    ungraded: dict[str, list[bool]] = defaultdict(list)
    for row in dicts(evaluated, GRADES):
        if (row["session_id"], row["turn"]) in usable:
            ungraded[row["condition"]].append(row["r_a"] is None)
            if row["r_s"] is not None:
                right[row["condition"], str(min(row["turn"], 6)) + "+" * (row["turn"] >= 6)].append(row["r_s"])
    aa = {(r["condition"], r["slice_value"]): r["value"] for r in slices if (r["slice"], r["metric"]) == TURN_AA}
    assert aa == {key: pytest.approx(sum(found) / len(found)) for key, found in right.items()}
    for row in metrics:
        found = ungraded[row["condition"]]
        assert row["ungraded_share"] == pytest.approx(sum(found) / len(found))
        assert 0.02 < row["ungraded_share"] < 0.2


TURN_AA = ("turn_number", "AA")


def test_intervals_hold_their_value_and_are_wider_than_that_of_all_rows(slices: Rows, metrics: Rows) -> None:
    whole = {(r["condition"], r["metric"]): r["ci_high"] - r["ci_low"] for r in metrics}
    for row in slices:
        if row["value"] is not None:
            assert row["ci_low"] <= row["value"] <= row["ci_high"]
    months = [r for r in slices if r["slice"] == "month" and r["metric"] == "AA"]
    assert all(r["ci_high"] - r["ci_low"] > whole[r["condition"], "AA"] for r in months)


def test_the_share_of_turns_left_out_stands_beside_the_metrics(evaluated: Warehouse, metrics: Rows) -> None:
    of_eval = {(r["session_id"], r["turn"]) for r in dicts(evaluated, TURNS) if r["split"] == "eval"}
    dropped = {(r["session_id"], r["turn"]) for r in dicts(evaluated, OBJECTIVES) if r["dropped_reason"]}
    share = len(of_eval & dropped) / len(of_eval)
    assert [row["dropped_share"] for row in metrics] == [pytest.approx(share)] * len(metrics)


@pytest.mark.parametrize("name", ["domain", "expert", "month", "turn_number", "after_first_turn"])
def test_the_sums_of_the_cube_give_the_metrics_of_every_slice(evaluated: Warehouse, slices: Rows, name: str) -> None:
    added: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(len(SUMS)))
    for cell in dicts(evaluated, METRIC_CUBE):
        cell["after_first_turn"] = "false" if cell["turn_number"] == "1" else "true"
        if cell["split"] == "eval":
            added[cell["condition"], cell[name]] += [cell[each] for each in SUMS]
    found = metric_arrays(np.array(list(added.values())), SETTINGS.beta)
    expected = values([row for row in slices if row["slice"] == name])
    assert len(expected) == len(added)
    for number, (condition, value) in enumerate(added):
        given = {each: None if np.isnan(found[each][number]) else found[each][number] for each in METRIC_NAMES}
        assert expected[condition, name, value] == given


def test_the_cube_holds_every_split_and_counts_dialogues_in_each_cell(evaluated: Warehouse) -> None:
    cells = dicts(evaluated, METRIC_CUBE)
    assert {cell["split"] for cell in cells} == {"dev", "eval"}
    assert all(1 <= cell["dialogues"] <= cell["n_rollouts"] for cell in cells)
    late = [cell for cell in cells if cell["turn_number"] == "6+"]
    assert sum(cell["n_rollouts"] for cell in late) > 2 * sum(cell["dialogues"] for cell in late), "turns 6 to 9"


def test_a_second_evaluation_of_the_same_tables_writes_nothing(evaluated: Warehouse) -> None:
    from spark_jobs.evaluate import evaluate

    tables = (METRICS, METRIC_SLICES, METRIC_CUBE, RUNS)
    before = [evaluated.version(contract) for contract in tables]
    assert len(evaluate(evaluated, JUDGE, SETTINGS)) == 7 * len(SKILL)
    assert [evaluated.version(contract) for contract in tables] == before


def test_rows_failed_are_the_ungraded_rollouts_of_the_eval_split(evaluated: Warehouse, metrics: Rows) -> None:
    (run,) = dicts(evaluated, RUNS)
    rollouts = {row["condition"]: row["ungraded_share"] for row in metrics}
    assert run["rows_in"] > run["rows_failed"] > 0
    assert run["rows_in"] < len(dicts(evaluated, ROLLOUTS))
    assert min(rollouts.values()) <= run["rows_failed"] / run["rows_in"] <= max(rollouts.values())
