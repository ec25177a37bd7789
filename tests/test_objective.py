"""I*_t from the facts of a dialogue: in Spark, and in Python for who checks an extractor."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from l2a.dialogue.types import Fact
from l2a.hindsight.objective import FACTS, supplied
from l2a.judge_check.extracting import after

FACTS_OF = [
    Fact(0, "Destination", "Paris"), Fact(4, "Name", "Ann"), Fact(2, "destination", "PARIS"), Fact(2, "nights", "2"),
    Fact(4, "name", "ann"), Fact(4, "Nights", "3"), Fact(6, "目的地", "巴黎"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("context_end", "left"),
    [
        (0, ["Destination: Paris", "nights: 2", "Name: Ann", "Nights: 3", "目的地: 巴黎"]),
        (1, ["nights: 2", "Name: Ann", "Nights: 3", "目的地: 巴黎"]),
        (5, ["目的地: 巴黎"]),
        (7, []),
    ],
)
def test_what_the_context_holds_in_whatever_case_is_not_worth_asking(
    spark: SparkSession, context_end: int, left: list[str]
) -> None:
    rows = [(fact.message_index, fact.attribute, fact.value) for fact in FACTS_OF]
    frame = spark.createDataFrame([(rows, context_end)], f"facts {FACTS}, context_end int")
    found = frame.select(supplied(F.col("facts"), F.col("context_end"), F.lit(False))).first()
    assert found is not None and found[0] == after(FACTS_OF, context_end) == left
