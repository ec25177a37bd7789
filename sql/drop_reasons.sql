-- Grain: one row per extractor version, split and reason, 'usable' among the reasons.
-- Answers: which turns leave training and evaluation, and why? For each extractor, turns add up to all turns.
-- A turn's own reason (such as outcome) comes before the extractor's (nothing_gained; generic_only: view generic_facts).
-- 'extraction_failed': the extractor had no answer; 'not_extracted': no objective for the turn's dialogue version yet.
-- extractor is null only where none has run at all. share is among the turns of the extractor and split.
SELECT
  extractor,
  split,
  reason,
  count(*) AS turns,
  count(*) / cast(sum(count(*)) OVER (PARTITION BY extractor, split) AS double) AS share
FROM (
  SELECT
    e.extractor,
    t.split,
    CASE
      WHEN t.dropped_reason IS NOT NULL THEN t.dropped_reason
      WHEN o.dropped_reason IS NOT NULL THEN o.dropped_reason
      WHEN o.status = 'failed' THEN 'extraction_failed'
      WHEN o.status IS NULL THEN 'not_extracted'
      ELSE 'usable'
    END AS reason
  FROM turns t
  LEFT JOIN (SELECT DISTINCT extractor FROM objectives) e ON true
  LEFT JOIN objectives o
    ON o.session_id = t.session_id
    AND o.turn = t.turn
    AND o.dialogue_version = t.dialogue_version
    AND o.extractor = e.extractor
) reasons
GROUP BY extractor, split, reason
