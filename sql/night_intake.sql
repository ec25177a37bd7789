-- Grain: one row per landing night: the dt= in the paths of the log files that were read.
-- Answers: did a night arrive whole, how much of it was rejected, and is all of it sliced and extracted?
-- Lines are those of the finished runs that read the night's files last: what an earlier run counted of a file that was
-- read again, mended or by another mapping, is gone, unless it is still the last one to have read another file of the
-- night. A run that read several nights counts for each of them.
-- difference is 0 where every line is accounted for. dialogues: those whose newest version came with this night;
-- unsliced: of these, without turns of that version; turns: their usable ones; unextracted: of these, without an objective
-- of the newest extractor; extraction_failed: with one that failed.
SELECT
  f.night,
  f.files,
  r.lines,
  r.new_dialogues,
  r.updated_dialogues,
  r.unchanged_lines,
  r.superseded_lines,
  r.quarantined_lines,
  r.quarantined_lines / cast(nullif(r.lines, 0) AS double) AS quarantined_share,
  r.difference,
  coalesce(d.dialogues, 0) AS dialogues,
  coalesce(d.unsliced, 0) AS unsliced,
  coalesce(t.turns, 0) AS turns,
  coalesce(t.unextracted, 0) AS unextracted,
  coalesce(t.extraction_failed, 0) AS extraction_failed
FROM (
  SELECT regexp_extract(path, 'dt=([0-9]{4}-[0-9]{2}-[0-9]{2})', 1) AS night, count(DISTINCT path) AS files
  FROM sources
  WHERE run_id IN (SELECT run_id FROM runs)
  GROUP BY regexp_extract(path, 'dt=([0-9]{4}-[0-9]{2}-[0-9]{2})', 1)
) f
LEFT JOIN (
  SELECT
    n.night,
    sum(c.rows_in) AS lines,
    sum(c.rows_new) AS new_dialogues,
    sum(c.rows_updated) AS updated_dialogues,
    sum(c.rows_unchanged) AS unchanged_lines,
    sum(c.rows_superseded) AS superseded_lines,
    sum(c.rows_quarantined) AS quarantined_lines,
    sum(c.difference) AS difference
  FROM (
    SELECT DISTINCT regexp_extract(path, 'dt=([0-9]{4}-[0-9]{2}-[0-9]{2})', 1) AS night, run_id
    FROM (
      SELECT path, run_id, row_number() OVER (PARTITION BY path ORDER BY ingested_at DESC, run_id) AS newest
      FROM sources
      WHERE run_id IN (SELECT run_id FROM runs)
    ) readings
    WHERE newest = 1
  ) n
  JOIN reconciliation c ON c.run_id = n.run_id
  GROUP BY n.night
) r ON r.night = f.night
LEFT JOIN (
  SELECT
    regexp_extract(x.source, 'dt=([0-9]{4}-[0-9]{2}-[0-9]{2})', 1) AS night,
    count(*) AS dialogues,
    count(CASE WHEN y.session_id IS NULL THEN 1 END) AS unsliced
  FROM dialogues x
  LEFT JOIN turns y
    ON y.session_id = x.session_id AND y.dialogue_version = x.dialogue_version AND y.is_final
  GROUP BY regexp_extract(x.source, 'dt=([0-9]{4}-[0-9]{2}-[0-9]{2})', 1)
) d ON d.night = f.night
LEFT JOIN (
  SELECT
    regexp_extract(x.source, 'dt=([0-9]{4}-[0-9]{2}-[0-9]{2})', 1) AS night,
    count(*) AS turns,
    count(CASE WHEN o.status IS NULL THEN 1 END) AS unextracted,
    count(CASE WHEN o.status = 'failed' THEN 1 END) AS extraction_failed
  FROM dialogues x
  JOIN turns y
    ON y.session_id = x.session_id AND y.dialogue_version = x.dialogue_version AND y.dropped_reason IS NULL
  LEFT JOIN (
    SELECT n.session_id, n.turn, n.dialogue_version, n.status
    FROM objectives n
    JOIN newest_extractor e ON e.extractor = n.extractor
  ) o ON o.session_id = y.session_id AND o.turn = y.turn AND o.dialogue_version = y.dialogue_version
  GROUP BY regexp_extract(x.source, 'dt=([0-9]{4}-[0-9]{2}-[0-9]{2})', 1)
) t ON t.night = f.night
WHERE f.night <> ''
