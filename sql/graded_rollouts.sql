-- Grain: one row per rollout under one extractor and one grader version.
-- Answers: which answers are behind a metric? Each with its text, what was worth asking, its grade, and the dialogue
-- that it belongs to.
-- target is s*_t and information I*_t; is_usable tells whether the row counts in metrics (with split = 'eval'). r_a and
-- omega are null where grading failed, r_s where the rollout itself failed; error says why.
SELECT
  g.condition,
  g.extractor,
  g.grader,
  g.session_id,
  g.turn,
  g.sample,
  t.split,
  d.domain,
  d.expert,
  t.is_final,
  t.dropped_reason IS NULL AND o.dropped_reason IS NULL AND o.status = 'ok' AS is_usable,
  o.decision AS target,
  r.decision,
  o.information,
  r.text,
  r.action,
  g.r_a,
  g.r_s,
  g.omega,
  g.status,
  coalesce(g.error, r.error) AS error,
  g.model_version,
  g.dialogue_version
FROM grades g
JOIN rollouts r
  ON r.condition = g.condition
  AND r.session_id = g.session_id
  AND r.turn = g.turn
  AND r.sample = g.sample
  AND r.model_version = g.model_version
  AND r.dialogue_version = g.dialogue_version
JOIN objectives o
  ON o.session_id = g.session_id
  AND o.turn = g.turn
  AND o.extractor = g.extractor
  AND o.dialogue_version = g.dialogue_version
JOIN turns t ON t.session_id = g.session_id AND t.turn = g.turn AND t.dialogue_version = g.dialogue_version
JOIN dialogues d ON d.session_id = g.session_id AND d.dialogue_version = g.dialogue_version
