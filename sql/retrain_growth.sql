-- Grain: one row per method of training: its newest training, and what the logs have gained since.
-- Answers: is it worth training again?
-- Usable turns are those of the train split with a usable objective of the newest extractor; trained_usable_turns is how
-- many there were when the training read them. Where that was another extractor the two cannot be compared: new_turns are
-- then those of dialogues that came, or changed, since the training started. A method that was never trained has no row.
SELECT
  method,
  condition,
  training_id,
  trained_at,
  trained_usable_turns,
  usable_turns,
  new_turns,
  new_turns / cast(nullif(trained_usable_turns, 0) AS double) AS new_share
FROM (
  SELECT
    t.method,
    t.condition,
    t.training_id,
    t.created_at AS trained_at,
    t.usable_turns AS trained_usable_turns,
    coalesce(sum(n.turns), 0) AS usable_turns,
    CASE
      WHEN t.extractor = coalesce(max(n.extractor), t.extractor) THEN coalesce(sum(n.turns), 0) - t.usable_turns
      ELSE coalesce(sum(CASE WHEN n.ingested_at > t.started_at THEN n.turns END), 0)
    END AS new_turns
  FROM (
    SELECT *, row_number() OVER (PARTITION BY method ORDER BY created_at DESC, training_id) AS place
    FROM trainings
  ) t
  LEFT JOIN (
    SELECT d.ingested_at, o.extractor, count(*) AS turns
    FROM turns u
    JOIN objectives o
      ON o.session_id = u.session_id AND o.turn = u.turn AND o.dialogue_version = u.dialogue_version
    JOIN newest_extractor e ON e.extractor = o.extractor
    LEFT JOIN dialogues d ON d.session_id = u.session_id
    WHERE u.split = 'train'
      AND u.dropped_reason IS NULL
      AND o.status = 'ok'
      AND o.dropped_reason IS NULL
    GROUP BY d.ingested_at, o.extractor
  ) n ON true
  WHERE t.place = 1
  GROUP BY t.method, t.condition, t.training_id, t.created_at, t.usable_turns, t.extractor
) grown
