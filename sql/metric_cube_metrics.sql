-- Grain: one row per cell of metric_cube: evaluation, condition, split, domain, expert, month, turn number.
-- Answers: what are the seven metrics of any cell? And, as a pattern: of any slice, without a new job.
-- Sums add up over cells, metrics do not. For a coarser slice, add up the sums of metric_cube by what you slice by, and
-- use the same expressions on them (sql/README.md has such a question). No intervals: those are in metric_slices.
SELECT
  *,
  sum_r_a / nullif(n_continue_graded, 0) AS wa,
  n_good_hit / nullif(n_continue_graded, 0) AS wa_gh,
  n_continue_right / nullif(n_continue, 0) AS wc,
  n_stop_right / nullif(n_stop, 0) AS ws,
  (n_continue_right + n_stop_right) / nullif(n, 0) AS aa,
  (case when n_continue_right = 0 then 0e0 else n_continue_right * sum_omega_continue / nullif(n_continue_graded, 0) end
    + sum_omega_stop) / nullif(n, 0) AS fc,
  (case when n_continue_right = 0 then 0e0 else n_continue_right
    * (1 + (sum_omega_continue + beta * sum_r_a) / nullif(n_continue_graded, 0)) end
    + n_stop_right * (1 + beta) + sum_omega_stop) / nullif(n, 0) AS tr,
  (n_rollouts - n + n_continue_right - n_continue_graded) / nullif(cast(n_rollouts as double), 0) AS ungraded_share
FROM metric_cube
