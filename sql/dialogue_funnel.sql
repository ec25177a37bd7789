-- Grain: one row per domain and extractor version (null where none has run).
-- Answers: how much of what was logged becomes training and evaluation material, and where is it lost?
-- dialogues >= sliced, and turns >= usable_turns >= extracted >= usable_objectives = continue_turns + stop_turns.
-- successful: outcome 'success'; outcome_unknown: the log does not say. usable_turns: no reason of their own to be left
-- out; extracted: those with an objective that did not fail; usable_objectives: those that the extractor keeps.
SELECT
  d.domain,
  e.extractor,
  count(DISTINCT d.session_id) AS dialogues,
  count(DISTINCT CASE WHEN d.outcome = 'success' THEN d.session_id END) AS successful,
  count(DISTINCT CASE WHEN d.outcome IS NULL THEN d.session_id END) AS outcome_unknown,
  count(DISTINCT t.session_id) AS sliced,
  count(t.turn) AS turns,
  count(CASE WHEN t.dropped_reason IS NULL THEN t.turn END) AS usable_turns,
  count(CASE WHEN t.dropped_reason IS NULL AND o.status = 'ok' THEN t.turn END) AS extracted,
  count(
    CASE WHEN t.dropped_reason IS NULL AND o.status = 'ok' AND o.dropped_reason IS NULL THEN t.turn END
  ) AS usable_objectives,
  count(
    CASE
      WHEN t.dropped_reason IS NULL AND o.status = 'ok' AND o.dropped_reason IS NULL AND o.decision = 'CONTINUE'
      THEN t.turn
    END
  ) AS continue_turns,
  count(
    CASE
      WHEN t.dropped_reason IS NULL AND o.status = 'ok' AND o.dropped_reason IS NULL AND o.decision = 'STOP'
      THEN t.turn
    END
  ) AS stop_turns
FROM dialogues d
LEFT JOIN (SELECT DISTINCT extractor FROM objectives) e ON true
LEFT JOIN turns t ON t.session_id = d.session_id AND t.dialogue_version = d.dialogue_version
LEFT JOIN objectives o
  ON o.session_id = t.session_id
  AND o.turn = t.turn
  AND o.dialogue_version = t.dialogue_version
  AND o.extractor = e.extractor
GROUP BY d.domain, e.extractor
