-- Grain: one row per warehouse: the extractor that objectives were made with last; no row before there are any.
-- Answers: whose objectives do the other views mean where they speak of the newest extractor?
-- By the runs: the last one that kept rows, also where it failed because too many rows did. Else by the fitted judges.
SELECT extractor
FROM (
  SELECT o.extractor, row_number() OVER (
    ORDER BY r.at DESC NULLS LAST, j.created_at DESC NULLS LAST, o.extractor DESC
  ) AS place
  FROM (SELECT DISTINCT extractor FROM objectives) o
  LEFT JOIN (
    SELECT subject, max(started_at) AS at
    FROM runs
    WHERE step = 'extract' AND (status = 'ok' OR rows_out > 0)
    GROUP BY subject
  ) r ON r.subject = o.extractor
  LEFT JOIN judges j ON j.name = o.extractor
) ranked
WHERE place = 1
