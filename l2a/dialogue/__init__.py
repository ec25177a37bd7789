"""Dialogues: their messages, the facts that users supply in them, and where the expert decides (slicing)."""

from l2a.dialogue.types import Fact, Message

__all__ = ["Fact", "Message"]
