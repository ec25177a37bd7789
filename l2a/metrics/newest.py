"""Which evaluation is meant where none is named."""

from __future__ import annotations

from l2a.settings import Settings
from l2a.sql.types import literal


def newest_evaluation(settings: Settings) -> str:
    """SQL: the row of `metrics` to take evaluation_id, extractor, grader, beta and created_at from.

    The newest evaluation by the judges and the beta of the settings; where there is none, the newest of all. One that
    was made in between, to see what another beta or judge does, decides nothing.
    """
    judge, beta = settings.judge, settings.evaluate.beta
    # A judge is set by its full name, or by what its name begins with: `embedded`, `llm`.
    return f"""
        SELECT *
        FROM metrics
        ORDER BY
          starts_with(extractor, {literal(judge.extractor)}) AND starts_with(grader, {literal(judge.grader)}) DESC,
          beta = {literal(repr(beta))}::DOUBLE DESC,
          created_at DESC,
          evaluation_id
        LIMIT 1
    """
