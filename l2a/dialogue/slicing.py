"""Where the expert decides: a dialogue's decision points, in Spark's built-in functions.

1. Consecutive messages of one role are one utterance; system and tool messages do not end it.
2. A decision point stands before each expert utterance that has a user utterance somewhere before it. Its context is
   every message before that utterance: C_{t-1}, the whole prefix (arXiv 2510.25441, section 4.2.1).
3. The last decision point is the final turn: before the closing expert utterance, or after the last message when the
   user has the last word. A dialogue with a user message has exactly one, and no context holds the closing utterance.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F


def decision_points(messages: Column) -> Column:
    """The decision points of `messages` (array of structs with a field role), in order.

    Returns an array of struct<turn int from 1, is_final boolean, context_end int, utterance_end int>: the context is
    messages[0:context_end], the expert's utterance lies in messages[context_end:utterance_end], which also holds system
    and tool messages that stand between the expert's. Empty where no user speaks.
    """
    total = F.size(messages)
    spoken = F.filter(
        F.transform(messages["role"], lambda role, i: F.struct(role.alias("role"), i.alias("at"))),
        lambda message: message["role"].isin("user", "assistant"),
    )
    # Neighbours side by side: work that grows with the messages, not with their square.
    steps = F.zip_with(spoken, F.slice(spoken, F.lit(2), F.size(spoken)), _step)
    asked = F.filter(steps, lambda step: (step["from"] == "user") & (step["to"] == "assistant"))["at"]
    answered = F.filter(steps, lambda step: (step["from"] == "assistant") & (step["to"] == "user"))["at"]
    # An expert who greets first is answered once before the first decision.
    answers = F.filter(answered, lambda at: at > F.coalesce(F.get(asked, F.lit(0)), total))
    points = F.zip_with(
        asked, answers, lambda at, end: F.struct(at.alias("context_end"), F.coalesce(end, total).alias("utterance_end"))
    )
    user_ends = F.try_element_at(spoken, F.lit(-1))["role"] == "user"
    after_all = F.array(F.struct(total.alias("context_end"), total.alias("utterance_end")))
    points = F.when(user_ends, F.concat(points, after_all)).otherwise(points)
    return F.transform(
        points,
        lambda point, i: F.struct(
            (i + 1).alias("turn"),
            (i + 1 == F.size(points)).alias("is_final"),
            point["context_end"].alias("context_end"),
            point["utterance_end"].alias("utterance_end"),
        ),
    )


def _step(message: Column, following: Column) -> Column:
    return F.struct(message["role"].alias("from"), following["role"].alias("to"), following["at"].alias("at"))
