"""Where the expert decides: a dialogue's decision points, in Spark's built-in functions.

1. Consecutive messages of one role are one utterance; system and tool messages do not end it.
2. A decision point stands before each expert utterance that has a user utterance somewhere before it. Its context is
   every message before that utterance: C_{t-1}, the whole prefix (arXiv 2510.25441, section 4.2.1).
3. The last decision point is the final turn: before the closing expert utterance, or after the last message when the
   user has the last word. A dialogue with a user message has exactly one, and no context holds the closing utterance.

The roles of a dialogue become a word with one letter a message (`suauatau`), so that the rule is two patterns over it
and Spark compiles all of it; functions over arrays with lambdas are interpreted, element by element, and many times
slower. Only roles make the word: no text of a message can look like one.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

LETTERS = {"assistant": "a", "system": "s", "user": "u", "tool": "s"}
"""System and tool messages end no utterance, so they share a letter."""

POINT = "D"
"""Stands in the word at the first message of an expert utterance that answers a user, or behind all messages."""


def with_decision_points(dialogues: DataFrame) -> DataFrame:
    """One row per decision point of `dialogues` (with a column messages: array of structs with a field role).

    Replaces `messages` by turn (int, from 1), is_final, context_end, utterance_messages: the context is
    messages[0:context_end]; the expert's utterance lies in the `utterance_messages` after it, which also hold system
    and tool messages that stand between the expert's. A dialogue in which no user speaks gives no row.
    """
    marked = dialogues.withColumn("_word", _marked(_word())).withColumn("_count", F.size("messages")).drop("messages")
    points = F.length("_word") - F.length(F.replace("_word", F.lit(POINT), F.lit("")))
    # `sequence` would count down from 1 to 0 where there is no point.
    turns = marked.withColumn("_points", points).where("_points > 0")
    turns = turns.withColumn("turn", F.explode(F.sequence(F.lit(1), F.col("_points"))))
    # What stands before the n-th mark is the n-th context, one letter a message.
    turns = turns.withColumn("context_end", F.expr(f"length(substring_index(_word, '{POINT}', turn))"))
    reply = F.expr("locate('u', _word, context_end + 1)")
    return turns.withColumns(
        {
            "is_final": F.col("turn") == F.col("_points"),
            "utterance_messages": F.when(reply > 0, reply - 1).otherwise(F.col("_count")) - F.col("context_end"),
        }
    ).drop("_word", "_count", "_points")


def _word() -> Column:
    word = F.array_join("messages.role", "")
    for role, letter in LETTERS.items():
        word = F.replace(word, F.lit(role), F.lit(letter))
    return word


def _marked(word: Column) -> Column:
    answered = F.regexp_replace(word, "u(s*)a", f"u$1{POINT}")
    return F.when(word.rlike("us*$"), F.concat(answered, F.lit(POINT))).otherwise(answered)
