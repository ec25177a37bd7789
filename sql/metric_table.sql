-- Grain: one row per evaluation and condition.
-- Answers: how good is each condition, with a 95 % interval over dialogues and the number of rollouts behind each metric?
-- is_newest marks the newest evaluation of its extractor, grader and beta: conditions are compared within one
-- evaluation. wa_n is how many rollouts WA stands on, and so on; n_dialogues is the number of dialogues behind AA.
-- ungraded_share: of the condition's rollouts, those without R_a. dropped_share: of all eval turns, those left out.
SELECT
  m.evaluation_id,
  m.condition,
  m.extractor,
  m.grader,
  m.beta,
  e.evaluated_at,
  e.place = 1 AS is_newest,
  max(CASE WHEN m.metric = 'AA' THEN m.n_dialogues END) AS n_dialogues,
  max(CASE WHEN m.metric = 'WA' THEN m.value END) AS wa,
  max(CASE WHEN m.metric = 'WA' THEN m.ci_low END) AS wa_ci_low,
  max(CASE WHEN m.metric = 'WA' THEN m.ci_high END) AS wa_ci_high,
  max(CASE WHEN m.metric = 'WA' THEN m.n END) AS wa_n,
  max(CASE WHEN m.metric = 'WA-GH' THEN m.value END) AS wa_gh,
  max(CASE WHEN m.metric = 'WA-GH' THEN m.ci_low END) AS wa_gh_ci_low,
  max(CASE WHEN m.metric = 'WA-GH' THEN m.ci_high END) AS wa_gh_ci_high,
  max(CASE WHEN m.metric = 'WA-GH' THEN m.n END) AS wa_gh_n,
  max(CASE WHEN m.metric = 'WC' THEN m.value END) AS wc,
  max(CASE WHEN m.metric = 'WC' THEN m.ci_low END) AS wc_ci_low,
  max(CASE WHEN m.metric = 'WC' THEN m.ci_high END) AS wc_ci_high,
  max(CASE WHEN m.metric = 'WC' THEN m.n END) AS wc_n,
  max(CASE WHEN m.metric = 'WS' THEN m.value END) AS ws,
  max(CASE WHEN m.metric = 'WS' THEN m.ci_low END) AS ws_ci_low,
  max(CASE WHEN m.metric = 'WS' THEN m.ci_high END) AS ws_ci_high,
  max(CASE WHEN m.metric = 'WS' THEN m.n END) AS ws_n,
  max(CASE WHEN m.metric = 'AA' THEN m.value END) AS aa,
  max(CASE WHEN m.metric = 'AA' THEN m.ci_low END) AS aa_ci_low,
  max(CASE WHEN m.metric = 'AA' THEN m.ci_high END) AS aa_ci_high,
  max(CASE WHEN m.metric = 'AA' THEN m.n END) AS aa_n,
  max(CASE WHEN m.metric = 'FC' THEN m.value END) AS fc,
  max(CASE WHEN m.metric = 'FC' THEN m.ci_low END) AS fc_ci_low,
  max(CASE WHEN m.metric = 'FC' THEN m.ci_high END) AS fc_ci_high,
  max(CASE WHEN m.metric = 'FC' THEN m.n END) AS fc_n,
  max(CASE WHEN m.metric = 'TR' THEN m.value END) AS tr,
  max(CASE WHEN m.metric = 'TR' THEN m.ci_low END) AS tr_ci_low,
  max(CASE WHEN m.metric = 'TR' THEN m.ci_high END) AS tr_ci_high,
  max(CASE WHEN m.metric = 'TR' THEN m.n END) AS tr_n,
  max(m.ungraded_share) AS ungraded_share,
  max(m.dropped_share) AS dropped_share
FROM metrics m
JOIN (
  SELECT
    evaluation_id,
    extractor,
    grader,
    beta,
    max(created_at) AS evaluated_at,
    row_number() OVER (
      PARTITION BY extractor, grader, beta ORDER BY max(created_at) DESC, evaluation_id DESC
    ) AS place
  FROM metrics
  GROUP BY evaluation_id, extractor, grader, beta
) e ON e.evaluation_id = m.evaluation_id AND e.extractor = m.extractor AND e.grader = m.grader AND e.beta = m.beta
GROUP BY m.evaluation_id, m.condition, m.extractor, m.grader, m.beta, e.evaluated_at, e.place
