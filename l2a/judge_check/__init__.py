"""What a team runs before it trusts a judge: `l2a judge-check`.

command.py     the command
source.py      what is judged: turns and dialogues of the warehouse, anchors of a file
grading.py     the grader: repeated, against anchors, attacked
extracting.py  the extractor: repeated; its two LLM forms against each other
attacks.py     utterances that want a grade instead of asking
figures.py     shares, kappa, F1 and their intervals
"""
