"""A made-up dialogue and what is true about it."""

from __future__ import annotations

from dataclasses import dataclass, field

from l2a.dialogue.types import Fact
from l2a.synth.domains import Domain


@dataclass(slots=True)
class MadeDialogue:
    """One version of one dialogue. Messages are three lists of equal length: roles, texts, times."""

    session_id: str
    version: int
    domain: Domain
    case: str
    expert: str
    outcome: str
    roles: list[str]
    texts: list[str]
    times: list[int]
    """When each message was sent: seconds since 1970, UTC."""
    timed: bool
    """Whether the log tells those times; in some systems it does not (ts is null)."""
    updated_at: int
    facts: list[Fact] = field(default_factory=list)
    """What the user supplied, each where it was said first, in order. The value stands in the message word for word."""
    volunteered: list[int] = field(default_factory=list)
    """Positions in `facts` of what nobody had asked for."""
    in_vain: list[int] = field(default_factory=list)
    """Messages (of the expert) whose question the user's answer supplied nothing new to."""
    rounds: list[int] = field(default_factory=list)
    """Where each of the expert's rounds of asking begins, in order."""

    def truth(self) -> dict[str, object]:
        """The truth file's row about this version, less the line and what kind of line it was."""
        facts = [{"message_index": f.message_index, "attribute": f.attribute, "value": f.value} for f in self.facts]
        return {
            "session_id": self.session_id,
            "version": self.version,
            "domain": self.domain.name,
            "case": self.case,
            "expert": self.expert,
            "outcome": self.outcome,
            "messages": len(self.roles),
            "facts": facts,
            "volunteered": self.volunteered,
            "in_vain": self.in_vain,
        }
