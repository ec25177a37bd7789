"""What kind of answer a user message is: refusal, yes or no, small talk; and whether a question can be answered so."""

from __future__ import annotations

import re

_NOT = r"(?:n't|nt|n’t| not)"
_REFUSAL = re.compile(
    rf"\b(?:(?:do|did|could|can|would){_NOT}\s+(?:really |exactly |even )?"
    r"(?:know|remember|recall|have (?:it|one|that|any|a preference)|care|mind|matter)"
    r"|(?:i )?(?:dunno|forgot|forget|forgotten)|no (?:idea|clue|preference|matter)|not (?:sure|certain|really)"
    r"|can(?:no|')?t (?:say|tell|find|think|remember|recall)"
    rf"|does{_NOT} matter"
    r"|(?:any|anything|whatever|anytime|either|anywhere)(?: \w+){0,3} (?:is |would be |will |works?|'s )?"
    r"(?:fine|good|ok|okay|do|works?|suits?)"
    r"|nothing (?:specific|special|particular|else|in particular|comes)"
    r"|no,? (?:not|nothing|thanks|thank you|special|specific|particular|that'?s)|none(?: that)?"
    r"|not? particular(?:ly)?|skip (?:it|that)|up to you|you (?:decide|choose|pick))\b",
    re.IGNORECASE,
)
_LEAD = r"^\W*(?:(?:oh|well|um|uh|ok|okay|hmm)\W+)*"
_ANSWER = re.compile(
    _LEAD + r"(yes|yeah|yep|yup|sure|definitely|absolutely|certainly|of course|correct|no|nope|nah|none|never|not yet"
    r"|not really|i (?:do|did|have)(?: not|n't|n’t)?)\b",
    re.IGNORECASE,
)
_POLAR = re.compile(
    r"^\W*(?:(?:and|so|ok|okay|well|right|great|sure|also|then|alright|thanks|um|uh)\W+)*"
    r"(?:is|are|was|were|do|does|did|will|would|has|have|had|should|shall|can|could|may)\b",
    re.IGNORECASE,
)
_OPTIONAL = re.compile(
    r"\b(?:requests?|preferences?|prefer|particular|particularly|specific|special|anything|else|message|in mind"
    r"|any other|interested|like to order)\b",
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


def polar_answer(text: str) -> tuple[int, int] | None:
    """Where the yes or no of a reply stands (start, end), or None."""
    match = _ANSWER.search(text)
    return match.span(1) if match else None
