"""Who was asked what: an utterance of the expert may be several messages, and so may the user's reply.

System and tool messages end neither, as in slicing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from l2a.dialogue.types import Message


def exchanges(messages: Sequence[Message]) -> Iterator[tuple[list[str], list[int]]]:
    """What the expert said in one utterance, message by message, and the places of the user's messages after it.

    The first has no text where the user opens the dialogue; the last no places where the expert has the last word.
    """
    said: list[str] = []
    places: list[int] = []
    for place, message in enumerate(messages):
        if message.role == "user":
            places.append(place)
        elif message.role == "assistant":
            if places:
                yield said, places
                said, places = [], []
            said.append(message.content)
    if said or places:
        yield said, places


def last_utterance(messages: Sequence[Message], place: int) -> list[str]:
    """The messages of what the expert said last before the user's message at `place`."""
    while place > 0 and messages[place - 1].role != "assistant":
        place -= 1
    said: list[str] = []
    while place > 0 and messages[place - 1].role != "user":
        place -= 1
        if messages[place].role == "assistant":
            said.insert(0, messages[place].content)
    return said
