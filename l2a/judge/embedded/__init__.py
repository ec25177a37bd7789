"""The embedded judge: no LLM; learnt from the train split of the logs themselves.

    judge = fit(dialogues, size="small")
    judge.save(folder); judge = load(folder)
    judge.extractor.extract([...]); judge.grader.grade([...])

Importing this module is light; torch and scikit-learn come in when a judge is fitted or used.
"""

from __future__ import annotations

from l2a.judge.embedded.artifact import JUDGE_VERSION, EmbeddedJudge, Size, load
from l2a.judge.embedded.fitting import FitDialogue, fit, fit_key

__all__ = ["JUDGE_VERSION", "EmbeddedJudge", "FitDialogue", "Size", "fit", "fit_key", "load"]
