-- Grain: one row per promise between tables, with the number of rows that break it.
-- Answers: does the whole warehouse add up: is anything lost, doubled, or left behind by a step?
-- kind 'broken' must be 0 at any moment. kind 'waiting' is 0 once the step that next_step names has run without others
-- beside it. Objectives are those of the newest extractor: older ones stand beside, as they were.
SELECT
  'ingest runs whose lines do not add up' AS what,
  'broken' AS kind,
  count(*) AS found,
  'l2a status' AS next_step
FROM reconciliation
WHERE difference <> 0
UNION ALL
SELECT 'dialogues without exactly one final turn, or without turns from 1 on', 'broken', count(*), 'l2a slice --all'
FROM (
  SELECT session_id
  FROM turns
  GROUP BY session_id
  HAVING count(CASE WHEN is_final THEN 1 END) <> 1
    OR count(DISTINCT dialogue_version) <> 1
    OR min(turn) <> 1
    OR max(turn) <> count(*)
) wrong
UNION ALL
SELECT 'turns of a dialogue that is not there', 'broken', count(*), 'l2a slice --all'
FROM turns t
WHERE NOT EXISTS (SELECT 1 FROM dialogues d WHERE d.session_id = t.session_id)
UNION ALL
SELECT 'grades of a rollout that is not there', 'waiting', count(*), 'l2a grade'
FROM grades g
WHERE NOT EXISTS (
  SELECT 1
  FROM rollouts r
  WHERE r.condition = g.condition AND r.session_id = g.session_id AND r.turn = g.turn AND r.sample = g.sample
)
UNION ALL
SELECT 'dialogues of a file that no run has read', 'waiting', count(*), 'l2a ingest PATH'
FROM dialogues d
WHERE NOT EXISTS (SELECT 1 FROM sources s WHERE s.path = d.source)
UNION ALL
SELECT 'rejected lines of a file that no run has read', 'waiting', count(*), 'l2a ingest PATH'
FROM quarantine q
WHERE NOT EXISTS (SELECT 1 FROM sources s WHERE s.path = q.source)
UNION ALL
SELECT 'dialogues that are not sliced', 'waiting', count(*), 'l2a slice'
FROM dialogues d
WHERE NOT EXISTS (
  SELECT 1 FROM turns t WHERE t.session_id = d.session_id AND t.dialogue_version = d.dialogue_version
)
UNION ALL
SELECT 'usable turns without an objective', 'waiting', count(*), 'l2a extract'
FROM turns t
WHERE t.dropped_reason IS NULL
  AND NOT EXISTS (
    SELECT 1
    FROM objectives o
    JOIN newest_extractor e ON e.extractor = o.extractor
    WHERE o.session_id = t.session_id AND o.turn = t.turn AND o.dialogue_version = t.dialogue_version
  )
UNION ALL
SELECT 'objectives of a turn that is not there', 'waiting', count(*), 'l2a extract'
FROM objectives o
JOIN newest_extractor e ON e.extractor = o.extractor
WHERE NOT EXISTS (SELECT 1 FROM turns t WHERE t.session_id = o.session_id AND t.turn = o.turn)
