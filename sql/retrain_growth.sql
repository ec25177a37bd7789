-- Grain: one row per method of training: its newest training, and what the logs have gained since.
-- Answers: is it worth training again?
-- Usable turns are those of the train split with a usable objective of the newest extractor; trained_usable_turns is how
-- many there were when the training read them. A method that was never trained has no row.
SELECT
  t.method,
  t.condition,
  t.training_id,
  t.created_at AS trained_at,
  t.usable_turns AS trained_usable_turns,
  n.usable_turns,
  n.usable_turns - t.usable_turns AS new_turns,
  (n.usable_turns - t.usable_turns) / cast(nullif(t.usable_turns, 0) AS double) AS new_share
FROM (
  SELECT *, row_number() OVER (PARTITION BY method ORDER BY created_at DESC, training_id) AS place
  FROM trainings
) t
CROSS JOIN (
  SELECT count(*) AS usable_turns
  FROM turns u
  JOIN objectives o
    ON o.session_id = u.session_id AND o.turn = u.turn AND o.dialogue_version = u.dialogue_version
  WHERE u.split = 'train'
    AND u.dropped_reason IS NULL
    AND o.status = 'ok'
    AND o.dropped_reason IS NULL
    AND o.extractor = (SELECT max_by(subject, started_at) FROM runs WHERE step = 'extract' AND status = 'ok')
) n
WHERE t.place = 1
