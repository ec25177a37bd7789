-- Grain: one row per run of a step.
-- Answers: where did every row go? What went into an ingest run equals what came out plus what was set aside:
-- rows_in = rows_new + rows_updated + rows_unchanged + rows_superseded + rows_quarantined, so difference is 0 in every
-- row. For other steps difference is null, since they count what goes in and what comes out in different units
-- (dialogues in, turns out); a run that broke off counted nothing and has status failed.
SELECT
  run_id,
  step,
  subject,
  started_at,
  status,
  rows_in,
  rows_new,
  rows_updated,
  rows_unchanged,
  rows_superseded,
  rows_quarantined,
  rows_out,
  rows_set_aside,
  rows_failed,
  CASE
    WHEN step = 'ingest'
    THEN rows_in - coalesce(rows_new, 0) - coalesce(rows_updated, 0) - coalesce(rows_unchanged, 0)
      - coalesce(rows_superseded, 0) - coalesce(rows_quarantined, 0)
  END AS difference
FROM runs
