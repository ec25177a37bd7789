"""The metrics: their identities, plain means, failed grades, and the arithmetic of the published table."""

from __future__ import annotations

import math

import duckdb
import numpy as np
import pandas as pd
import pytest

from l2a.dialogue.utterance import parse
from l2a.judge.protocols import Judgement
from l2a.metrics import METRIC_NAMES, METRICS, SUMS
from l2a.metrics.arrays import metric_arrays
from l2a.reward import grade, reward

TEXTS = ["<stop />", "Bye. <stop />", "", "Age?", "Age? Sex?", "A? B? C?", "Tell me."]
COLUMNS = ["grp", "session_id", "target", "decision", "r_a", "r_s", "omega"]


def random_grades(groups: int, seed: int, failing: bool) -> pd.DataFrame:
    """Grades of many small groups, each with its own mix: all STOP, all wrong, all failed, single rows among them."""
    rng = np.random.default_rng(seed)
    rows = []
    for group in range(groups):
        stop, right, broken = rng.choice([0.0, 0.3, 1.0], 3, p=[0.2, 0.6, 0.2])
        for row in range(rng.integers(1, 12)):
            target = "STOP" if rng.random() < stop else "CONTINUE"
            wants_stop = (target == "STOP") == (rng.random() < right)
            utterance = parse(str(rng.choice(TEXTS[:2] if wants_stop else TEXTS[2:])))
            judgement = Judgement(float(rng.choice([0, 0.5, 1])), bool(rng.random() < 0.5))
            if failing and rng.random() < broken:
                judgement = Judgement(None, None, "unreachable")
            lost = failing and rng.random() < 0.1
            found = grade(target, None if lost else utterance, judgement)
            decision = None if lost else utterance.decision
            rows.append((group, f"s{row % 3}", target, decision, found.r_a, found.r_s, found.omega))
    return pd.DataFrame(rows, columns=COLUMNS)


def table(grades: pd.DataFrame, beta: float) -> pd.DataFrame:
    """Sums and metrics per group, by DuckDB."""
    sums = ", ".join(f"{sql} as {name}" for name, sql in SUMS.items())
    metrics = ", ".join(f'{sql} as "{name}"' for name, sql in METRICS.items())
    return duckdb.sql(
        f"select *, {metrics} from (select grp, cast({beta} as double) as beta, {sums} from grades group by grp)"
    ).df()


@pytest.mark.parametrize("failing", [False, True])
@pytest.mark.parametrize("beta", [0.0, 0.5, 2.0, 4.0])
def test_both_identities_hold_over_arbitrary_grades(beta: float, failing: bool) -> None:
    found = table(random_grades(1500, seed=7, failing=failing), beta)
    found = found[found["n"] > 0]
    p = found["n_continue"] / found["n"]
    wa, wc, ws = (found[name].fillna(0.0) for name in ("WA", "WC", "WS"))
    aa = p * wc + (1 - p) * ws
    tr = found["FC"] + p * wc * (1 + beta * wa) + (1 - p) * ws * (1 + beta)
    assert (found["AA"] - aa).abs().max() < 1e-9
    known = found["TR"].notna()
    assert (found["TR"] - tr)[known].abs().max() < 1e-9
    # The only groups without FC and TR: right CONTINUE answers, none of them graded.
    assert (known == ~((found["n_continue_right"] > 0) & (found["n_continue_graded"] == 0))).all()
    assert (known == found["FC"].notna()).all()
    assert known.sum() > 1000


def test_without_failures_metrics_are_the_plain_means() -> None:
    grades = random_grades(1500, seed=3, failing=False)
    grades["r"] = [reward(*row) for row in grades[["r_a", "r_s", "omega"]].itertuples(index=False)]
    found = table(grades, 2.0).set_index("grp")
    on_continue, on_stop = grades[grades.target == "CONTINUE"], grades[grades.target == "STOP"]
    asked = on_continue[on_continue.decision == "CONTINUE"]
    plain = {
        "WA": asked.groupby("grp").r_a.mean(),
        "WA-GH": (asked.r_a == 1).groupby(asked.grp).mean(),
        "WC": (on_continue.decision == "CONTINUE").groupby(on_continue.grp).mean(),
        "WS": (on_stop.decision == "STOP").groupby(on_stop.grp).mean(),
        "AA": grades.groupby("grp").r_s.mean(),
        "FC": grades.groupby("grp").omega.mean(),
        "TR": grades.groupby("grp").r.mean(),
    }
    for name in METRIC_NAMES:
        pd.testing.assert_series_equal(
            found[name], plain[name].reindex(found.index), check_names=False, check_index=False, rtol=0, atol=1e-12
        )


def test_a_failed_grade_keeps_its_decision_and_gives_no_zero() -> None:
    rows = [("CONTINUE", "CONTINUE", 1.0, 1.0, 1.0), ("CONTINUE", "CONTINUE", None, 1.0, None)]
    rows += [("CONTINUE", "STOP", 0.0, 0.0, 0.0), ("STOP", "STOP", 1.0, 1.0, 1.0), ("STOP", None, None, None, None)]
    found = table(pd.DataFrame([("g", "s", *row) for row in rows], columns=COLUMNS), 2.0).iloc[0]
    assert (found["WC"], found["WS"], found["AA"]) == (pytest.approx(2 / 3), 1.0, 0.75)
    assert (found["WA"], found["n_continue_graded"], found["n"], found["n_rollouts"]) == (1.0, 1, 4, 5)
    # The ungraded right CONTINUE counts like the graded one: omega 1, R = 4; then a wrong one, 0, and a STOP, 1 and 4.
    assert (found["FC"], found["TR"]) == (0.75, 3.0)


def test_nothing_to_measure_is_null_not_an_error() -> None:
    found = table(pd.DataFrame([("g", "s", "STOP", None, None, None, None)], columns=COLUMNS), 2.0).iloc[0]
    assert [name for name in METRIC_NAMES if not math.isnan(found[name])] == []


def test_arrays_and_spark_evaluate_the_same_expressions(spark) -> None:  # type: ignore[no-untyped-def]
    from pyspark.sql import functions as F

    from l2a.metrics.evaluate import sums

    grades = random_grades(300, seed=5, failing=True)
    expected = table(grades, 1.5).sort_values("grp")
    frame = spark.createDataFrame(
        [tuple(None if pd.isna(v) else v for v in row) for row in grades.itertuples(index=False)],
        "grp long, session_id string, target string, decision string, r_a double, r_s double, omega double",
    )
    assert spark.conf.get("spark.sql.ansi.enabled") == "true"
    in_spark = (
        sums(frame, ["grp"]).withColumn("beta", F.lit(1.5)).select("grp", *[F.expr(METRICS[m]) for m in METRIC_NAMES])
    )
    rows = np.array([tuple(row) for row in in_spark.orderBy("grp").collect()], dtype=float)
    arrays = metric_arrays(expected[list(SUMS)].to_numpy(float), 1.5)
    for i, name in enumerate(METRIC_NAMES):
        np.testing.assert_array_equal(rows[:, 1 + i], expected[name].to_numpy(float))
        np.testing.assert_array_equal(arrays[name], expected[name].to_numpy(float))


# Table 1 of arXiv 2510.25441: WA, WA-GH, WC, WS, AA, FC, TR, for 7B and for 32B.
TABLE_1 = {
    "Base": (".50 .13 .98 .16 .75 .63 2.17", ".50 .13 .92 .52 .81 .67 2.43"),
    "SFT": (".40 .08 .94 .74 .89 .57 2.41", ".43 .11 .94 .87 .93 .69 2.70"),
    "DPO": (".42 .05 .94 .36 .78 .19 1.78", ".23 .04 .52 .87 .62 .18 1.61"),
    "GRPO": (".67 .41 .94 .93 .94 .92 3.27", ".64 .37 .93 .88 .92 .88 3.15"),
    'printed "w/o Ra"': (".63 .34 1.00 .02 .73 .70 2.35", ".57 .26 .97 .33 .79 .74 2.52"),
    'printed "w/o Rs"': (".52 .19 .96 .87 .93 .92 3.06", ".54 .19 .95 .91 .94 .92 3.12"),
    "Sum": (".64 .38 .92 .95 .93 .91 3.20", ".65 .37 .94 .88 .92 .90 3.19"),
    "GSPO": (".61 .31 .93 .94 .93 .91 3.16", ".62 .32 .95 .86 .93 .89 3.12"),
    "CISPO": (".71 .47 .95 .94 .95 .93 3.36", ".70 .49 .94 .89 .93 .92 3.29"),
}


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("condition", TABLE_1)
def test_the_expressions_reproduce_the_published_table(condition: str, size: int) -> None:
    """AA and TR follow from the other columns at p = 0.72, to rounding; the two TR printed for DPO do not."""
    wa, wa_gh, wc, ws, aa, fc, tr = map(float, TABLE_1[condition][size].split())
    n, p = 1000.0, 0.72
    right_continue, right_stop = n * p * wc, n * (1 - p) * ws
    # FC in the table is over all rollouts; put all of it on the right CONTINUE answers.
    sums = {
        "n_rollouts": n,
        "n": n,
        "n_continue": n * p,
        "n_continue_right": right_continue,
        "n_continue_graded": right_continue,
        "sum_r_a": right_continue * wa,
        "n_good_hit": right_continue * wa_gh,
        "sum_omega_continue": n * fc,
        "n_stop": n * (1 - p),
        "n_stop_right": right_stop,
        "sum_omega_stop": 0.0,
    }
    found = {name: array[0] for name, array in metric_arrays(np.array([[sums[k] for k in SUMS]]), 2.0).items()}
    assert (found["WA"], found["WA-GH"], found["WC"], found["WS"]) == pytest.approx((wa, wa_gh, wc, ws))
    # Every printed number is rounded to 0.005; TR adds up the errors of FC, WA, WC and WS, each times its factor.
    assert found["AA"] == pytest.approx(aa, abs=0.005 + 0.005 + 0.001)
    slack = 0.005 * (1 + 1 + p * (1 + 2 * wa) + p * wc * 2 + (1 - p) * 3)
    assert (abs(found["TR"] - tr) <= slack) == (condition != "DPO")
    if condition == "DPO":
        assert found["TR"] == pytest.approx((1.74, 1.46)[size], abs=0.005)
