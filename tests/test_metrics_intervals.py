"""Intervals over dialogues: they hold the truth, depend on the data alone, and are honest about little data."""

from __future__ import annotations

import numpy as np
import pytest

from l2a.errors import UsageError
from l2a.metrics import METRIC_NAMES, SUMS
from l2a.metrics.bootstrap import Tally
from l2a.metrics.coverage import CASES, Case, covered
from l2a.metrics.intervals import effective, interval, t_quantile
from l2a.metrics.weights import poisson_weights

GRADES = "condition string, session_id string, target string, decision string, r_a double, r_s double, omega double"


def grades(conditions: dict[str, float], dialogues: int = 40) -> list[tuple[object, ...]]:
    """Each dialogue has 1 to 9 CONTINUE turns and a STOP; a condition's number is its share of right questions."""
    rows: list[tuple[object, ...]] = []
    for condition, share in conditions.items():
        rng = np.random.default_rng(1)
        for i in range(dialogues):
            for _ in range(1 + i % 9):
                r_a = float(rng.random() < share)
                rows.append((condition, f"s-{i}", "CONTINUE", "CONTINUE", r_a, 1.0, 1.0))
            rows.append((condition, f"s-{i}", "STOP", "STOP", 1.0, 1.0, 1.0))
    return rows


def test_weights_are_poisson_and_belong_to_the_dialogue() -> None:
    dialogues = np.arange(5000)
    weights = poisson_weights(dialogues, 401)
    assert weights.shape == (5000, 401)
    counts = np.bincount(weights.astype(int).ravel(), minlength=5)[:5] / weights.size
    np.testing.assert_allclose(counts, [0.3679, 0.3679, 0.1839, 0.0613, 0.0153], atol=0.002)
    assert np.abs(np.corrcoef(weights[:, :40].T) - np.eye(40)).max() < 0.08
    some = np.array([4711, 3, 4999])
    np.testing.assert_array_equal(poisson_weights(some, 401), weights[some])
    np.testing.assert_array_equal(poisson_weights(some, 10), weights[some, :10])


def test_tallies_of_parts_add_up_to_the_tally_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    hashes, sums = rng.integers(-(2**62), 2**62, 3000), rng.integers(0, 20, (3000, len(SUMS))) / 2
    whole, parts = Tally.empty(200), Tally.empty(200)
    whole.add_dialogues(hashes, sums)
    for chosen in np.array_split(rng.permutation(3000), 7):
        part = Tally.empty(200)
        part.add_dialogues(hashes[chosen], sums[chosen])
        parts.add(part)
    np.testing.assert_array_equal(parts.sums, whole.sums)
    np.testing.assert_array_equal(parts.dialogues, whole.dialogues)
    np.testing.assert_array_equal(whole.sums[0], sums.sum(axis=0))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_equal_values_still_leave_an_interval_that_shrinks_with_dialogues(value: float) -> None:
    widths = []
    for dialogues in (5, 20, 100, 1000):
        low, high = interval(value, np.full(1000, value), dialogues, dialogues, 1.0)
        assert 0.0 <= low <= value <= high <= 1.0
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] > 0


def test_one_dialogue_tells_nothing() -> None:
    assert interval(0.4, np.full(1000, 0.4), 1, 1.0, 1.0) == (0.0, 1.0)
    assert effective(30.0, 900.0) == 1.0


def test_many_dialogues_agree_with_the_replicates_own_percentiles() -> None:
    rng = np.random.default_rng(4)
    replicates = rng.normal(2.0, 0.05, 20_000)
    np.testing.assert_allclose(
        interval(2.0, replicates, 2000, 2000.0, 4.0), np.quantile(replicates, [0.025, 0.975]), atol=0.005
    )


@pytest.mark.parametrize(("degrees", "expected"), [(1, 12.706), (4.5, 2.660), (7, 2.365), (25, 2.060), (1e9, 1.960)])
def test_t_quantiles(degrees: float, expected: float) -> None:
    assert t_quantile(degrees) == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize(
    "case", [Case(20, 0.93), Case(20, 0.5, 0.3, "pareto"), Case(50, 0.98), Case(50, 0.07, 0.02, "equal")]
)
def test_intervals_hold_the_truth(case: Case) -> None:
    for name, share in covered(case, repetitions=150, replicates=200).items():
        # 150 repetitions: a true 95 % lies in here but once in thousands of runs; the seed is fixed.
        assert 0.89 <= share <= 1.0, (case, name)


@pytest.mark.prove
@pytest.mark.timeout(7200)
def test_intervals_hold_the_truth_a_thousand_times() -> None:
    found = {(case, name): share for case in CASES for name, share in covered(case, 1000).items()}
    outside = {key: share for key, share in found.items() if not 0.92 <= share <= 0.98}
    print(f"{len(outside)} of {len(found)} outside .92 to .98: {outside}")
    assert len(outside) <= 0.15 * len(found)
    assert min(found.values()) >= 0.89


def test_evaluate_gives_seven_rows_a_group_the_same_however_partitioned(spark) -> None:  # type: ignore[no-untyped-def]
    from l2a.metrics.evaluate import evaluate

    frame = spark.createDataFrame(grades({"good": 0.9, "poor": 0.2}), GRADES)
    found = evaluate(frame, by=["condition"], replicates=200)
    assert found.columns == ["condition", "metric", "value", "n", "n_dialogues", "ci_low", "ci_high", "ungraded_share"]
    rows = sorted(map(tuple, found.collect()))
    assert [row[:2] for row in rows] == [(c, m) for c in ("good", "poor") for m in sorted(METRIC_NAMES)]
    shuffled = evaluate(frame.repartition(5, "target").orderBy("r_a"), by=["condition"], replicates=200)
    assert sorted(map(tuple, shuffled.collect())) == rows
    by_name = {row[:2]: row[2:] for row in rows}
    value, n, n_dialogues, low, high, ungraded = by_name["good", "WA"]
    assert (n, n_dialogues, ungraded) == (190, 40, 0.0)
    assert low < value < high
    assert by_name["poor", "WA"][4] < low
    assert by_name["good", "WS"] == pytest.approx((1.0, 40, 40, 1 / (1 + t_quantile(39) ** 2 / 40), 1.0, 0.0))
    assert by_name["good", "TR"][0] == pytest.approx(2 + 2 * (190 * value + 40) / 230)


def test_evaluate_groups_by_any_columns_nulls_among_them_or_by_none(spark) -> None:  # type: ignore[no-untyped-def]
    from pyspark.sql import functions as F

    from l2a.metrics.evaluate import evaluate

    frame = spark.createDataFrame(grades({"a": 0.5}, dialogues=6), GRADES).withColumn(
        "domain", F.when(F.col("session_id") < "s-3", F.lit("bank"))
    )
    rows = evaluate(frame, by=["domain", "condition"], replicates=50).collect()
    counts = {(row.domain, row.condition, row.metric): row.n for row in rows}
    assert len(counts) == 14
    assert (counts["bank", "a", "AA"], counts[None, "a", "AA"]) == (9, 18)
    assert {row.metric: row.n for row in evaluate(frame, by=[], replicates=50).collect()}["AA"] == 27


def test_evaluate_with_nothing_to_measure_gives_nulls_and_no_grades_no_rows(spark) -> None:  # type: ignore[no-untyped-def]
    from l2a.metrics.evaluate import evaluate

    lost = spark.createDataFrame([("x", "s", "STOP", None, None, None, None)], GRADES)
    rows = evaluate(lost, by=["condition"], replicates=50).collect()
    assert [(r.value, r.n, r.n_dialogues, r.ci_low, r.ci_high) for r in rows] == [(None, 0, 0, None, None)] * 7
    assert {r.ungraded_share for r in rows} == {1.0}
    assert evaluate(lost.limit(0), by=["condition"], replicates=50).collect() == []


def test_wrong_settings_are_refused_before_anything_runs(spark) -> None:  # type: ignore[no-untyped-def]
    from l2a.metrics.evaluate import evaluate

    frame = spark.createDataFrame(grades({"a": 0.5}, dialogues=2), GRADES)
    with pytest.raises(UsageError, match="beta"):
        evaluate(frame, by=["condition"], beta=-1.0)
    with pytest.raises(UsageError, match="replicates"):
        evaluate(frame, by=["condition"], replicates=1)
