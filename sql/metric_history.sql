-- Grain: one row per metric of a condition in one evaluation, with the evaluation before it.
-- Answers: how has each condition changed from evaluation to evaluation, as logs grew and models were trained?
-- number counts a condition's evaluations under one extractor, grader and beta, from 1 for the first; change is value less
-- the value before. An evaluation stands on the eval turns of its day: more turns move a value, too, within its interval.
-- trained_at: the newest training of the condition by then; null for a condition that needs none.
SELECT
  m.condition,
  m.metric,
  m.evaluated_at,
  m.number,
  m.value,
  m.ci_low,
  m.ci_high,
  m.n,
  m.n_dialogues,
  lag(m.value) OVER (
    PARTITION BY m.condition, m.metric, m.extractor, m.grader, m.beta ORDER BY m.number
  ) AS value_before,
  m.value - lag(m.value) OVER (
    PARTITION BY m.condition, m.metric, m.extractor, m.grader, m.beta ORDER BY m.number
  ) AS change,
  t.trained_at,
  m.extractor,
  m.grader,
  m.beta,
  m.evaluation_id
FROM (
  SELECT
    condition,
    metric,
    created_at AS evaluated_at,
    row_number() OVER (
      PARTITION BY condition, metric, extractor, grader, beta ORDER BY created_at, evaluation_id
    ) AS number,
    value,
    ci_low,
    ci_high,
    n,
    n_dialogues,
    extractor,
    grader,
    beta,
    evaluation_id
  FROM metrics
) m
LEFT JOIN (
  SELECT n.evaluation_id, n.condition, max(f.created_at) AS trained_at
  FROM metrics n
  JOIN trainings f ON f.condition = split_part(n.condition, '@', 1) AND f.created_at <= n.created_at
  GROUP BY n.evaluation_id, n.condition
) t ON t.evaluation_id = m.evaluation_id AND t.condition = m.condition
