-- Grain: one row per turn (decision point) of a dialogue in its newest version.
-- Answers: what did the policy see at this turn, what did the expert say then, and what came after?
-- context and future are exact: arrays of struct(role, content), future beginning with the expert's utterance.
-- context_text and future_text are the same as "role: content" lines, for reading only: a message may hold such lines
-- itself. utterance is what the expert said: the contents of the assistant messages joined by newlines, null for none.
-- Turns of a dialogue that changed and was not sliced again yet are left out: their positions may not fit any more.
SELECT
  session_id,
  turn,
  is_final,
  context_end,
  utterance_messages,
  dialogue_version,
  split,
  dropped_reason,
  domain,
  goal,
  outcome,
  expert,
  context,
  future,
  array_join(transform(context, m -> concat(m.role, ': ', m.content)), '\n') AS context_text,
  array_join(transform(future, m -> concat(m.role, ': ', m.content)), '\n') AS future_text,
  CASE WHEN size(spoken) > 0 THEN array_join(transform(spoken, m -> m.content), '\n') END AS utterance
FROM (
  SELECT
    t.session_id,
    t.turn,
    t.is_final,
    t.context_end,
    t.utterance_messages,
    t.dialogue_version,
    t.split,
    t.dropped_reason,
    d.domain,
    d.goal,
    d.outcome,
    d.expert,
    transform(
      slice(d.messages, 1, t.context_end), m -> named_struct('role', m.role, 'content', m.content)
    ) AS context,
    transform(
      slice(d.messages, t.context_end + 1, size(d.messages)), m -> named_struct('role', m.role, 'content', m.content)
    ) AS future,
    filter(
      slice(d.messages, t.context_end + 1, t.utterance_messages), m -> m.role = 'assistant'
    ) AS spoken
  FROM turns t
  JOIN dialogues d ON d.session_id = t.session_id AND d.dialogue_version = t.dialogue_version
) texts
