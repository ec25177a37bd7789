"""The engine for LLM calls: requests with an address in, one row per request out. Knows neither Spark nor tables.

request.py    what is asked, and its address: request_id
answer.py     the row that a request ends as, ok or failed
errors.py     the tree of what can go wrong: per try, per row, per job
settings.py   every number and name that a run depends on
engine.py     requests in, batches of rows out; sync.py is the same for callers without an event loop
router.py     which endpoint, and when;  endpoint.py, limiter.py: how one endpoint is doing
client.py     one try over HTTP;  classify.py, reading.py: what came back;  redact.py: the key stays here
versions.py   which weights stand behind a served name
chaos/        an OpenAI-compatible endpoint that fails on purpose
"""
