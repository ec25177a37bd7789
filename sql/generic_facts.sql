-- Grain: one row per extractor version, domain and attribute that most dialogues of the domain supply.
-- Answers: what is asked of everyone, how do we know, and what does leaving it out cost?
-- The figures are those of generic_attributes. turns_with: usable turns at which it is still to be supplied;
-- turns_without: of these, those from whose information it was left out; turns_lost: of these, those with nothing else
-- to ask for, which leave training and evaluation as generic_only.
SELECT
  g.extractor,
  g.domain,
  g.attribute,
  g.generic,
  g.decided_by,
  g.dialogues,
  g.turns,
  g.asked_share,
  g.hit_share,
  g.context_effect,
  coalesce(f.turns_with, 0) AS turns_with,
  coalesce(f.turns_without, 0) AS turns_without,
  coalesce(f.turns_lost, 0) AS turns_lost
FROM generic_attributes g
LEFT JOIN (
  SELECT
    extractor,
    domain,
    attribute,
    count(*) AS turns_with,
    count(CASE WHEN kept = 0 THEN 1 END) AS turns_without,
    count(CASE WHEN kept = 0 AND dropped_reason = 'generic_only' THEN 1 END) AS turns_lost
  FROM (
    SELECT
      extractor,
      domain,
      session_id,
      turn,
      dropped_reason,
      lower(trim(split_part(fact, ':', 1))) AS attribute,
      max(CASE WHEN array_contains(information, fact) THEN 1 ELSE 0 END) AS kept
    FROM (
      SELECT
        o.extractor,
        coalesce(d.domain, 'unknown') AS domain,
        o.session_id,
        o.turn,
        o.dropped_reason,
        o.information,
        explode(coalesce(o.supplied, o.information)) AS fact
      FROM objectives o
      JOIN dialogues d ON d.session_id = o.session_id AND d.dialogue_version = o.dialogue_version
      WHERE o.status = 'ok'
    ) facts
    GROUP BY extractor, domain, session_id, turn, dropped_reason, lower(trim(split_part(fact, ':', 1)))
  ) items
  GROUP BY extractor, domain, attribute
) f ON f.extractor = g.extractor AND f.domain = g.domain AND f.attribute = g.attribute
