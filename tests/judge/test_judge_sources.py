"""Where an item comes from in what was said later."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from l2a.dialogue.types import Message
from l2a.judge.embedded.sources import UNKNOWN, Source, source_of

TALK = (
    Message("assistant", "Thanks. How old is she, and where does it hurt?"),
    Message("user", "She is four"),
    Message("user", "and it's her left ear"),
    Message("assistant", "Any fever?"),
    Message("tool", "left ear"),
    Message("user", "no fever, left side only"),
)


def test_an_item_comes_from_the_first_user_message_that_holds_it_and_from_the_questions_before_it() -> None:
    assert source_of("left ear", TALK) == Source("and it's her left ear", ("How old is she", "where does it hurt?"))
    assert source_of("no fever", TALK) == Source("no fever, left side only", ("Any fever?",))


def test_a_value_written_down_in_other_words_comes_from_the_message_with_most_of_them() -> None:
    assert source_of("ear: left, hurts", TALK).text == "and it's her left ear"


def test_what_nobody_said_has_no_source() -> None:
    assert source_of("twelve years", TALK) == UNKNOWN
    assert source_of("four", ()) == UNKNOWN


def test_of_a_long_message_only_the_sentence_counts() -> None:
    story = f"I went to the market. {'It rained and rained. ' * 40}Then my card was gone! Please help."
    assert source_of("card was gone", [Message("user", story)]).text == "Then my card was gone!"


def test_other_scripts() -> None:
    talk = [Message("assistant", "您叫什么名字？"), Message("user", "我叫王小明，谢谢")]
    assert source_of("王小明", talk) == Source("我叫王小明，谢谢", ("您叫什么名字？",))


@given(st.text(), st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), st.text())))
def test_a_source_is_always_something_that_the_user_said(value: str, said: list[tuple[str, str]]) -> None:
    messages = [Message(role, content) for role, content in said]
    found = source_of(value, messages)
    assert any(found.text in m.content for m in messages if m.role == "user") or found == UNKNOWN
