-- Grain: one row per model, model version, status and kind of error of LLM calls.
-- Answers: what did our LLM calls take, how much of it came from prefix caches, and what went wrong?
-- Tokens are sums over the answered tries of the run that asked last (`runs` has what every run paid); seconds are those
-- of the last try; cached_share is of the prompt tokens.
SELECT
  model,
  model_version,
  status,
  error_class,
  count(*) AS calls,
  sum(attempts) AS attempts,
  sum(prompt_tokens) AS prompt_tokens,
  sum(cached_tokens) AS cached_tokens,
  sum(completion_tokens) AS completion_tokens,
  sum(cached_tokens) / cast(nullif(sum(prompt_tokens), 0) AS double) AS cached_share,
  avg(latency_ms) / 1000 AS mean_seconds,
  max(created_at) AS last_at
FROM llm_calls
GROUP BY model, model_version, status, error_class
