"""An OpenAI-compatible endpoint that fails on purpose: for tests, benchmarks and rehearsals.

    python -m l2a.llm.chaos --port 8100 --seed 1 --fault rate_limit=0.1 --fault hang=0.01 --slots 16

What goes wrong with a request depends on the seed and the request alone, so that a run can be repeated; what passes
(429, 500, a hang, ...) passes after the request's first few tries. Its capacity is simulated: slots, calls and tokens
per second, a prefix cache. While it runs, it can be switched (POST /chaos/mode) and asked what it served
(GET /chaos/log).

    plan.py        the settings, and which fault a request meets
    capacity.py    slots, rates, the prefix cache
    responder.py   what it answers when it answers;  rules.py: sensibly, to l2a's own prompts
    hostile.py     answers that no client should trust
    record.py      what was served, to whom, how often
    server.py      the routes
"""
