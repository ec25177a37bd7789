"""Which question a user's message follows, whatever else was said in between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from l2a.dialogue.asking import exchanges, last_utterance
from l2a.dialogue.types import Message

TALKS = st.lists(st.sampled_from("uaast"), max_size=12)
ROLES = {"u": "user", "a": "assistant", "s": "system", "t": "tool"}


def talk(roles: list[str] | str) -> list[Message]:
    return [Message(ROLES[role], str(place)) for place, role in enumerate(roles)]


def test_an_utterance_is_all_that_the_expert_says_before_the_user_does() -> None:
    assert list(exchanges(talk("uaatauusu"))) == [([], [0]), (["1", "2", "4"], [5, 6, 8])]
    assert list(exchanges(talk("auaa"))) == [(["0"], [1]), (["2", "3"], [])]
    assert list(exchanges([])) == []


@given(TALKS)
def test_both_readings_agree(roles: list[str]) -> None:
    messages = talk(roles)
    asked = {place: said for said, places in exchanges(messages) for place in places}
    assert asked == {p: last_utterance(messages, p) for p, m in enumerate(messages) if m.role == "user"}
