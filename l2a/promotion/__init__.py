"""Whether a policy replaces the champion: `l2a promote`.

rule.py        the rule, a pure function of numbers
evidence.py    the numbers: paired differences from the warehouse's grades, without Spark
guard.py       general capability: perplexity of ordinary text, and tasks of lm-evaluation-harness
command.py     `l2a promote`
"""
