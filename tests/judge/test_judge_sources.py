"""Where an item comes from in what was said later."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from l2a.dialogue.types import Message
from l2a.judge.embedded.sources import SHORT, UNKNOWN, Source, source_of

TALK = (
    Message("assistant", "Thanks. How old is she, and where does it hurt?"),
    Message("user", "She is four"),
    Message("user", "and it's her left ear"),
    Message("assistant", "Any fever?"),
    Message("tool", "left ear"),
    Message("user", "no fever, left side only"),
)


def test_an_item_comes_from_the_first_user_message_that_holds_it_and_from_the_questions_before_it() -> None:
    assert source_of("", "left ear", TALK) == Source("and it's her left ear", ("How old is she", "where does it hurt?"))
    assert source_of("", "no fever", TALK) == Source("no fever, left side only", ("Any fever?",))


def test_a_value_written_down_in_other_words_comes_from_the_message_with_most_of_them() -> None:
    assert source_of("", "ear: left, hurts", TALK).text == "and it's her left ear"


def test_what_nobody_said_has_no_source() -> None:
    assert source_of("", "twelve years", TALK) == UNKNOWN
    assert source_of("", "four", ()) == UNKNOWN


def test_of_a_long_message_only_the_sentence_counts() -> None:
    story = f"I went to the market. {'It rained and rained. ' * 40}Then my card was gone! Please help."
    assert source_of("", "card was gone", [Message("user", story)]).text == "Then my card was gone!"


def test_other_scripts() -> None:
    talk = [Message("assistant", "您叫什么名字？"), Message("user", "我叫王小明，谢谢")]
    assert source_of("", "王小明", talk) == Source("我叫王小明，谢谢", ("您叫什么名字？",))


def test_the_question_tells_which_of_several_short_answers_is_meant() -> None:
    talk = (
        Message("assistant", "Shall I look that up for you?"),
        Message("user", "Yes please."),
        Message("assistant", "Do you smoke?"),
        Message("user", "Yes"),
    )
    assert source_of("smoke", "Yes", talk) == Source("Yes", ("Do you smoke?",))
    assert source_of("insured", "yes", talk) == UNKNOWN
    assert source_of("insured", "yes", talk[:2]).text == "Yes please."


def test_function_words_and_single_characters_say_nothing() -> None:
    talk = (Message("user", "I live in Rome."), Message("user", "今天头疼"))
    assert source_of("state", "in pain", talk) == UNKNOWN
    assert source_of("多久", "三天", talk) == UNKNOWN
    assert source_of("症状", "疼", talk).text == "今天头疼"


def test_signs_are_found_as_they_stand() -> None:
    talk = (Message("user", "well"), Message("user", "😀 great"))
    assert source_of("mood", "😀", talk).text == "😀 great"
    assert source_of("mood", "😡", talk) == UNKNOWN


def test_all_that_the_expert_wrote_before_the_answer_was_asked() -> None:
    talk = (
        Message("assistant", "What is your name?"),
        Message("assistant", "Take your time."),
        Message("user", "Rosa"),
    )
    assert source_of("", "Rosa", talk).asked == ("What is your name?",)


def test_of_a_long_message_without_full_stops_the_words_around_the_value_count() -> None:
    found = source_of("", "left ear", [Message("user", "and so on " * 200 + "my left ear hurts " + "and so on " * 100)])
    assert "my left ear hurts" in found.text
    assert len(found.text) <= SHORT


@given(st.text(), st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), st.text())))
def test_a_source_is_always_something_that_the_user_said(value: str, said: list[tuple[str, str]]) -> None:
    messages = [Message(role, content) for role, content in said]
    found = source_of("", value, messages)
    assert any(found.text in m.content for m in messages if m.role == "user") or found == UNKNOWN
