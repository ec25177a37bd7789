"""A prompt that fits: the instructions and the newest text stay, the rest goes oldest first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l2a.errors import UsageError
from l2a.llm.prompts.truncation import ChatMessages, fit

TEXT = st.text(max_size=30)


def count(messages: ChatMessages) -> int:
    """A tokenizer of one token a byte, and two more to open and close a message."""
    return sum(2 + len(message["content"].encode()) for message in messages)


def chat(system: str, *said: str) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    return [{"role": "system", "content": system}] + [
        {"role": roles[place % 2], "content": text} for place, text in enumerate(said)
    ]


def test_what_fits_is_left_alone() -> None:
    whole = chat("rules", "a", "b")
    assert fit(whole, count, count(whole)) == (whole, 0)


def test_the_oldest_messages_go_first() -> None:
    whole = chat("rules", "oldest", "older", "卡丢了")
    found, dropped = fit(whole, count, count(whole) - 1)
    assert (found, dropped) == ([whole[0], *whole[2:]], 1)
    assert fit(whole, count, count([whole[0], whole[3]])) == ([whole[0], whole[3]], 2)


def test_the_last_message_is_cut_from_its_front() -> None:
    whole = chat("rules", "older", "the end of it")
    found, dropped = fit(whole, count, count(chat("rules", "")) + 3)
    assert found == [whole[0], {"role": "assistant", "content": " it"}]
    assert dropped == 2


@given(TEXT, st.lists(TEXT, min_size=1, max_size=8), st.integers(0, 300))
def test_as_much_of_the_end_as_there_is_room_for(system: str, said: list[str], limit: int) -> None:
    whole = chat(system, *said)
    if count(chat(system, "")) > limit:
        with pytest.raises(UsageError, match="max_length"):
            fit(whole, count, limit)
        return
    found, dropped = fit(whole, count, limit)
    assert count(found) <= limit
    assert found[0] == whole[0] and len(found) > 1
    assert found[2:] == whole[-len(found[1:]) :][1:] and whole[-len(found) + 1]["content"].endswith(found[1]["content"])
    if dropped and found[1:] == whole[-len(found) + 1 :]:
        assert count([whole[0], *whole[-len(found) :]]) > limit, "one message more would not have fitted"
