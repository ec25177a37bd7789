"""The seven metrics: one SQL expression each, over sums that are one SQL aggregate each. Written here, nowhere else.

Spark SQL (ANSI mode too) and DuckDB run every expression unchanged. A table of sums added up over any rows (dialogues,
slices, weighted replicates) is again a table of sums, so a metric of any slice needs no rollouts, only sums.

Failed grades are not missing at random, only right CONTINUE answers need a grader: so WC, WS and AA count every parsed
rollout; WA and WA-GH the graded ones; FC and TR take for the ungraded right CONTINUE answers the mean of the graded
ones. With no failure all are the plain means. A cell without rollouts adds 0 to FC and TR. A metric over no rollouts is
null; and where right CONTINUE answers exist but none could be graded, FC and TR are null too: a 0 there would be a
grade that nobody gave.

Identities, exact: AA = p*WC + (1-p)*WS and TR = FC + p*WC*(1 + beta*WA) + (1-p)*WS*(1 + beta), p = n_continue / n,
where an empty cell's metric counts as 0.
"""

from __future__ import annotations

_PARSED = "target is not null and decision is not null"
_CONTINUE = "target = 'CONTINUE' and decision is not null"
_RIGHT_CONTINUE = "target = 'CONTINUE' and decision = 'CONTINUE'"
_GRADED = f"{_RIGHT_CONTINUE} and r_a is not null and omega is not null"
_STOP = "target = 'STOP' and decision is not null"
_RIGHT_STOP = "target = 'STOP' and decision = 'STOP'"


def _count(condition: str) -> str:
    return f"count(case when {condition} then 1 end)"


def _sum(column: str, condition: str) -> str:
    return f"coalesce(sum(case when {condition} then cast({column} as double) end), 0e0)"


SUMS: dict[str, str] = {
    "n_rollouts": "count(*)",
    "n": _count(_PARSED),
    "n_continue": _count(_CONTINUE),
    "n_continue_right": _count(_RIGHT_CONTINUE),
    "n_continue_graded": _count(_GRADED),
    "sum_r_a": _sum("r_a", _GRADED),
    "n_good_hit": _count(f"{_GRADED} and r_a = 1"),
    "sum_omega_continue": _sum("omega", _GRADED),
    "n_stop": _count(_STOP),
    "n_stop_right": _count(_RIGHT_STOP),
    "sum_omega_stop": _sum("omega", _RIGHT_STOP),
}
"""name -> aggregate over rows of grades with the columns target (s*), decision (the policy's; null if the rollout
failed), r_a and omega (null if the grade failed). n_rollouts - n rollouts failed, n_continue_right - n_continue_graded
grades did."""

_RIGHT_CONTINUE_OMEGA = "n_continue_right * sum_omega_continue / nullif(n_continue_graded, 0)"
_RIGHT_CONTINUE_REWARD = "n_continue_right * (1 + (sum_omega_continue + beta * sum_r_a) / nullif(n_continue_graded, 0))"


def _zero_if_empty(term: str) -> str:
    return f"case when n_continue_right = 0 then 0e0 else {term} end"


METRICS: dict[str, str] = {
    "WA": "sum_r_a / nullif(n_continue_graded, 0)",
    "WA-GH": "n_good_hit / nullif(n_continue_graded, 0)",
    "WC": "n_continue_right / nullif(n_continue, 0)",
    "WS": "n_stop_right / nullif(n_stop, 0)",
    "AA": "(n_continue_right + n_stop_right) / nullif(n, 0)",
    "FC": f"({_zero_if_empty(_RIGHT_CONTINUE_OMEGA)} + sum_omega_stop) / nullif(n, 0)",
    "TR": f"({_zero_if_empty(_RIGHT_CONTINUE_REWARD)} + n_stop_right * (1 + beta) + sum_omega_stop) / nullif(n, 0)",
}
"""name -> expression over the columns of SUMS and a column `beta` (double), which only TR reads."""

METRIC_NAMES = tuple(METRICS)

_RIGHT_CONTINUE_SUM = "n_continue_right * (1 + (sum_omega_continue + sum_r_a) / nullif(n_continue_graded, 0))"

MEAN_REWARD: dict[str, str] = {
    "product": METRICS["TR"],
    "sum": f"({_zero_if_empty(_RIGHT_CONTINUE_SUM)} + n_stop_right * 2 + sum_omega_stop) / nullif(n, 0)",
}
"""fusion -> expression: the mean of R as the method's product, or as the plain sum R_s + R_a + Omega. For what-ifs: the
metric TR is always the product."""

UNGRADED = "(n_rollouts - n + n_continue_right - n_continue_graded) / nullif(cast(n_rollouts as double), 0)"
"""Expression over the columns of SUMS: the share of rollouts without R_a, because they or their grades failed."""

DENOMINATORS: dict[str, str] = {
    "WA": "n_continue_graded",
    "WA-GH": "n_continue_graded",
    "WC": "n_continue",
    "WS": "n_stop",
    "AA": "n",
    "FC": "n",
    "TR": "n",
}
"""name -> the sum that is the metric's count of rollouts, its `n`; dialogues where it is 0 are not in `n_dialogues`."""


def top(metric: str, beta: float) -> float:
    """The largest value that a metric can take (the smallest is 0): 1, and 2 + beta for TR."""
    return 2.0 + beta if metric == "TR" else 1.0
