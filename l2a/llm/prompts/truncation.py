"""A prompt that fits: the oldest messages of the dialogue are left out first, the instructions never.

Training, the model in process and whoever else knows the model's tokenizer cut with this one function, so that a policy
is asked with the prompts that it was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from l2a.errors import UsageError

ChatMessages = Sequence[dict[str, str]]


def fit(
    messages: ChatMessages, count_tokens: Callable[[ChatMessages], int], limit: int
) -> tuple[list[dict[str, str]], int]:
    """The messages that a prompt of at most `limit` tokens has room for, and how many lost all or part of their text.

    messages: as `policy_messages` makes them, the system message first. count_tokens: of the rendered prompt; it is
    called about log2(messages) times. The last message always stays; if it alone is too long it is cut from its front.
    Raises UsageError where even the instructions are longer than the limit.
    """
    whole = list(messages)
    if count_tokens(whole) <= limit:
        return whole, 0
    first = 1 if whole and whole[0]["role"] == "system" else 0
    system, said = whole[:first], whole[first:]
    if not said:
        raise _no_room(limit)
    drop = _least(len(said) - 1, lambda number: count_tokens([*system, *said[number:]]) <= limit)
    if drop is not None:
        return [*system, *said[drop:]], drop
    last = said[-1]

    def cut(characters: int) -> list[dict[str, str]]:
        return [*system, {**last, "content": last["content"][characters:]}]

    characters = _least(len(last["content"]), lambda number: count_tokens(cut(number)) <= limit)
    if characters is None:
        raise _no_room(limit)
    return cut(characters), len(said)


def _least(most: int, fits: Callable[[int], bool]) -> int | None:
    """The least number from 0 to `most` that fits, where what fits goes on fitting; None: not even `most` does.

    Tokens of a shorter text are not always fewer, by one or two: what is returned did fit, and may be one too many.
    """
    if not fits(most):
        return None
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        if fits(middle):
            high = middle
        else:
            low = middle + 1
    return high


def _no_room(limit: int) -> UsageError:
    return UsageError(
        f"A prompt of at most {limit} tokens has no room for a policy's instructions: raise the recipe's max_length."
    )
