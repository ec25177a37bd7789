"""What kind of answer a user message is: refusal, yes or no, small talk; and whether a question can be answered so."""

from __future__ import annotations

import re

_REFUSAL = re.compile(
    r"\b(?:(?:do|did|could|can|would)(?:n't|nt|n’t| not)\s+(?:really |exactly |even )?(?:know|remember|recall|have (?:it|one|that|any|a preference)|care|mind|matter)"
    r"|(?:i )?(?:dunno|forgot|forget|forgotten)|no (?:idea|clue|preference|matter)|not (?:sure|certain|really)|can(?:no|')?t (?:say|tell|find|think|remember|recall)"
    r"|does(?:n't|nt|n’t| not) matter|(?:any|anything|whatever|anytime|either|anywhere)(?: \w+){0,3} (?:is |would be |will |works?|'s )?(?:fine|good|ok|okay|do|works?|suits?)"
    r"|nothing (?:specific|special|particular|else|in particular|comes)|no,? (?:not|nothing|thanks|thank you|special|specific|particular|that'?s)|none(?: that)?|not? particular(?:ly)?|skip (?:it|that)"
    r"|up to you|you (?:decide|choose|pick))\b",
    re.IGNORECASE,
)
_NO = re.compile(r"^\W*(?:no|nope|nah|none|nothing|not|never)\b", re.IGNORECASE)
_YES = re.compile(
    r"^\W*(?:(?:oh|well|um|uh|ok|okay)\W+)*(?:yes|yeah|yep|yup|sure|definitely|absolutely|certainly|of course|correct|please do|i do|i did|i have)\b",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"^\W*(?:(?:oh|well|um|uh|ok|okay|hmm)\W+)*(yes|yeah|yep|yup|sure|definitely|absolutely|certainly|of course|correct|no|nope|nah|none|never|not yet|not really|i do not|i don't|i don’t|i do|i did not|i didn't|i didn’t|i did|i have not|i haven't|i haven’t|i have)\b",
    re.IGNORECASE,
)
_POLAR = re.compile(
    r"^\W*(?:(?:and|so|ok|okay|well|right|great|sure|also|then|alright|thanks|um|uh)\W+)*(?:is|are|was|were|do|does|did|will|would|has|have|had|should|shall|can|could|may)\b",
    re.IGNORECASE,
)
_OPTIONAL = re.compile(
    r"\b(?:requests?|preferences?|prefer|particular|particularly|specific|special|anything|else|message|in mind|any other|interested|like to order)\b",
    re.IGNORECASE,
)


def polar(question: str) -> bool:
    """Whether yes or no answers the question ("Do you require parking?")."""
    return bool(_POLAR.search(question)) and " or " not in question.lower()


def optional(question: str) -> bool:
    """Whether "no" to it says nothing new ("Do you have any special requests?")."""
    return bool(_OPTIONAL.search(question))


def refuses(text: str) -> bool:
    """Whether the message declines to answer, in English words ("I don't know", "any time is fine")."""
    return bool(_REFUSAL.search(text))


def says_no(text: str) -> bool:
    """Whether the message starts with a no."""
    return bool(_NO.search(text))


def polar_answer(text: str) -> tuple[int, int] | None:
    """Where the yes or no of a reply stands (start, end), or None."""
    match = _ANSWER.search(text)
    return match.span(1) if match else None
