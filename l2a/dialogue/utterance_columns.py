"""The reading of an utterance (`l2a.dialogue.utterance`) as Spark columns: built-in functions only, no Python worker.

Each function takes the column of the policy's texts; a null text (a failed rollout) gives null.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from l2a.dialogue.types import STOP_MARK
from l2a.dialogue.utterance import QUESTION_RUN, WHITE_SPACE


def decision_column(text: Column) -> Column:
    """string: STOP if the text contains the mark, else CONTINUE."""
    return F.when(F.contains(text, F.lit(STOP_MARK)), "STOP").when(text.isNotNull(), "CONTINUE")


def action_column(text: Column) -> Column:
    """string: the text without the mark, stripped; null if nothing is left."""
    return F.nullif(_strip(F.replace(text, F.lit(STOP_MARK), F.lit("\n"))), F.lit(""))


def questions_column(text: Column) -> Column:
    """int: runs of question marks."""
    return F.regexp_count(text, F.lit(QUESTION_RUN))


def exact_stop_column(text: Column) -> Column:
    """boolean: the whole text is the mark and white space."""
    return _strip(text) == F.lit(STOP_MARK)


def _strip(text: Column) -> Column:
    # btrim takes the characters one by one; a regular expression would need quadratic time on a long run of blanks.
    return F.btrim(text, F.lit(WHITE_SPACE))
