"""Small literal hotel bookings that the judge's tests fit on."""

from __future__ import annotations

from l2a.dialogue.types import Message
from l2a.judge.embedded import FitDialogue

NAMES = ("Anna Weber", "Tom Hill", "Li Wei", "Maria Lopez", "Sam Brown", "Eva Klein", "Omar Said", "Nina Rossi")
CITIES = ("Berlin", "Oslo", "Madrid", "Lyon", "Porto", "Vienna", "Dublin", "Turin")


def _dialogue(n: int) -> FitDialogue:
    """A small booking, worded in one of a few ways; the closing utterance repeats what the user said."""
    name, city, guests, day = NAMES[n % 8], CITIES[(n * 3) % 8], str(2 + n % 7), str(3 + n % 25)
    said = [
        ("user", ("Hello, I would like to book a room please.", "Hi there, I need a hotel room.")[n % 2]),
        ("assistant", ("What is your name, please?", "Could I have your full name?")[n % 2]),
        ("user", (name, f"My name is {name}.")[n % 2]),
        ("assistant", ("Which city are you going to?", "What city do you want to stay in?")[n % 2]),
        ("user", ("I don't know yet, sorry.", city, f"I am going to {city}.")[n % 3]),
        ("assistant", ("How many guests will there be?", "How many guests are you bringing?")[n % 2]),
        ("user", (f"We are {guests} guests.", f"{guests} people")[n % 2]),
        ("assistant", ("When will you arrive?", "On which day do you arrive?")[n % 2]),
        ("user", (f"On the {day}th of May.", f"May {day}")[n % 2]),
        ("assistant", f"I have a room for {guests} guests in {city} on May {day} for {name}."),
    ]
    return FitDialogue([Message(role, text) for role, text in said], "hotel", "Book a hotel room.", f"d-{n:03d}")


TRAIN = [_dialogue(n) for n in range(48)]
