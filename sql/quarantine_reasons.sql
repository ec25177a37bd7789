-- Grain: one row per kind of reason for which input lines were rejected.
-- Answers: what is wrong with our logs, how often, and where can I look at an example?
-- The kind is the reason up to its first colon; share is among all rejected lines; the example is the first line of
-- that kind by source and position, its raw text cut to 200 characters.
SELECT
  reason_kind,
  count(*) AS lines,
  count(*) / cast(sum(count(*)) OVER () AS double) AS share,
  max(CASE WHEN place = 1 THEN source END) AS example_source,
  max(CASE WHEN place = 1 THEN position END) AS example_position,
  max(CASE WHEN place = 1 THEN reason END) AS example_reason,
  max(CASE WHEN place = 1 THEN substring(raw, 1, 200) END) AS example_raw
FROM (
  SELECT
    split_part(reason, ':', 1) AS reason_kind,
    reason,
    source,
    position,
    raw,
    row_number() OVER (
      PARTITION BY split_part(reason, ':', 1) ORDER BY source, position NULLS LAST, reason, raw NULLS LAST
    ) AS place
  FROM quarantine
) q
GROUP BY reason_kind
