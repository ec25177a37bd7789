"""What an utterance says: the decision, the question without the mark, how many questions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2a.dialogue.types import STOP_MARK
from l2a.dialogue.utterance import QUESTION_MARKS, WHITE_SPACE, Utterance, parse

# Texts made of the pieces that matter, and any text at all. Lone surrogates are not text: no encoding can write them.
PIECES = st.sampled_from(
    [
        STOP_MARK,
        "<stop",
        "/>",
        " ",
        "\n",
        "\u3000",
        "\u200b",
        "?",
        "!",
        "？",
        "؟",
        "¿",
        "Where",
        "多大了",
        "😀",
        "<b>",
        "\x00",
    ]
)
TEXTS = st.lists(PIECES, max_size=8).map("".join) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<stop />", Utterance(None, "STOP", 0, True)),
        (" \u3000<stop />\n", Utterance(None, "STOP", 0, True)),
        ("How old are you?", Utterance("How old are you?", "CONTINUE", 1, False)),
        ("How old? <stop />", Utterance("How old?", "STOP", 1, False)),
        ("<stop /><stop />", Utterance(None, "STOP", 0, False)),
        ("", Utterance(None, "CONTINUE", 0, False)),
        (" \n", Utterance(None, "CONTINUE", 0, False)),
        ("<stop/>", Utterance("<stop/>", "CONTINUE", 0, False)),
        ("<STOP />", Utterance("<STOP />", "CONTINUE", 0, False)),
        ("Tell me your age.", Utterance("Tell me your age.", "CONTINUE", 0, False)),
        ("<b>When?</b> Where?", Utterance("<b>When?</b> Where?", "CONTINUE", 2, False)),
        ("user: <stop />\nassistant: why?", Utterance("user: \n\nassistant: why?", "STOP", 1, False)),
    ],
)
def test_every_form_of_an_utterance_has_one_reading(text: str, expected: Utterance) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ("Really?!?", 1),
        ("Really⁉️", 1),
        ("你发烧吗？咳嗽吗？", 2),
        ("كم عمرك؟", 1),
        ("Ի՞նչ է պատահել", 1),
        ("Πόσο χρονών είσαι\u037e", 1),
        ("Πόσο χρονών είσαι;", 0),
        ("¿Cuántos años tiene?", 1),
        ("ስምህ ማን ነው፧", 1),
        ("when❓❓ where❔", 2),
        ("a? b? c?", 3),
        ("? ?", 2),
        ("wait!!", 0),
        ("?" * 1_000_000, 1),
        ("why? " * 200_000, 200_000),
    ],
)
def test_questions_are_runs_of_question_marks_of_any_script(text: str, questions: int) -> None:
    assert parse(text).questions == questions


@pytest.mark.parametrize("mark", QUESTION_MARKS)
def test_each_mark_counts_alone_doubled_and_among_others(mark: str) -> None:
    assert [parse(t).questions for t in (mark, mark * 2, f"?{mark}!", f"a{mark} b{mark}")] == [1, 1, 1, 2]


@given(TEXTS)
def test_the_action_never_holds_the_mark_nor_outer_blanks(text: str) -> None:
    found = parse(text)
    assert found.action is None or (STOP_MARK not in found.action and found.action == found.action.strip() != "")
    assert (found.decision == "STOP") == (STOP_MARK in text)
    assert not found.exact_stop or (found.decision == "STOP" and found.action is None and found.questions == 0)


def test_white_space_is_what_python_strips() -> None:
    assert {c for c in map(chr, range(0x110000)) if c.isspace()} == set(WHITE_SPACE)


def test_columns_read_every_text_as_the_function_does(spark) -> None:  # type: ignore[no-untyped-def]
    from pyspark.sql import functions as F

    from l2a.dialogue.utterance_columns import action_column, decision_column, exact_stop_column, questions_column

    edge = ["x" + " " * 1_000_000 + "?", "?" * 1_000_000, STOP_MARK * 50_000, "\u2003" * 100_000 + STOP_MARK]
    texts = [*_drawn(1500), *QUESTION_MARKS, *edge]
    text = F.col("text")
    rows = (
        spark.createDataFrame([(i, t) for i, t in enumerate(texts)] + [(-1, None)], "i int, text string")
        .select("i", action_column(text), decision_column(text), questions_column(text), exact_stop_column(text))
        .collect()
    )
    read = {row[0]: tuple(row)[1:] for row in rows}
    assert read.pop(-1) == (None, None, None, None)
    differ = [(t[:50], read[i], parse(t)) for i, t in enumerate(texts) if Utterance(*read[i]) != parse(t)]
    assert differ == []


def _drawn(count: int) -> list[str]:
    """That many texts drawn by hypothesis at once: one Spark job checks them all."""
    from hypothesis import HealthCheck, settings

    found: list[str] = []

    @settings(max_examples=count, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(TEXTS)
    def draw(text: str) -> None:
        found.append(text)

    draw()
    return found
