"""The judge: an extractor (what did the user supply, and where) and a grader (does this question ask for it)."""
