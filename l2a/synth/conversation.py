"""How a made-up dialogue comes about: an expert who follows the case's list, and a user who does not always play along.

What a policy can learn from it: the opening tells the case, the case tells what is needed and in which order; what was
volunteered is not asked for; some questions depend on an answer; when nothing is missing, stop. Better experts keep to
that, worse ones ask beside the point or again for what they were told.
"""

from __future__ import annotations

from l2a.dialogue.types import Fact
from l2a.synth.dialogue import MadeDialogue
from l2a.synth.domains import Attribute, Domain, wheel
from l2a.synth.draws import Draws
from l2a.synth.spec import LogSpec

EXPERTS = 40
# Expert k's share of rounds spent on a slip: from 1 % to 28 %, few bad ones; 17 and 40 share no divisor, so skill is
# spread over the numbers.
SLIPS = tuple(0.01 + 0.27 * ((k * 17 % EXPERTS) / (EXPERTS - 1)) ** 2 for k in range(EXPERTS))
MAX_SLIPS = 2

IN_VAIN = 0.1  # a question that the user does not answer
ASK_AGAIN = 0.6  # ... and that the expert comes back to, once
VOLUNTEER_BESIDE = 0.15
COMPOUND = 0.07
OUT_OF_ORDER = 0.08
LOOKUP = 0.04
ANYTHING_ELSE = 0.12
NOT_TIMED = 0.1


class Conversation:
    """Writes one dialogue, message by message. `dialogue` is finished once the constructor returns."""

    __slots__ = (
        "again",
        "asked",
        "clock",
        "dialogue",
        "domain",
        "draws",
        "pending",
        "phrases",
        "slip",
        "slips",
        "values",
    )

    def __init__(self, session_id: str, draws: Draws, spec: LogSpec) -> None:
        self.draws = draws
        self.domain: Domain = draws.choose(wheel(spec.domains))
        self.phrases = self.domain.phrases
        case = draws.choose(self.domain.cases)
        expert = draws.below(EXPERTS)
        self.slip = SLIPS[expert]
        self.slips = 0
        self.clock = spec.start_second + draws.below(spec.days * 86_400)
        self.pending: list[Attribute] = list(case.ask)
        self.asked: set[str] = set()
        self.again: set[str] = set()
        self.values: dict[str, str] = {}
        fails = draws.chance(spec.failed_share)
        self.dialogue = MadeDialogue(
            session_id=session_id,
            version=1,
            domain=self.domain,
            case=case.name,
            expert=f"e-{expert + 1}",
            outcome="failure" if fails else "success",
            roles=[],
            texts=[],
            times=[],
            timed=not draws.chance(NOT_TIMED),
            updated_at=0,
        )
        # A failed dialogue mostly ends early, with a user who walks away.
        rounds = 1 + draws.below(len(case.ask)) if fails and draws.chance(0.75) else 99
        self._open(draws.choose(case.openings))
        while self.pending and rounds:
            rounds -= 1
            self._round()
        self._close(gave_up=bool(self.pending))
        self.dialogue.updated_at = self.clock + 60 + draws.below(1_800)

    def _say(self, role: str, text: str) -> None:
        made = self.dialogue
        made.roles.append(role)
        made.texts.append(text)
        made.times.append(self.clock)
        self.clock += 4 + self.draws.below(80)

    def _open(self, opening: str) -> None:
        draws, phrases = self.draws, self.phrases
        if draws.chance(0.06):
            self._say("system", draws.choose(phrases.system))
        if draws.chance(0.1):
            self._say("assistant", draws.choose(phrases.welcomes))
        greets = draws.below(20)
        if greets == 0:
            self._say("user", draws.choose(phrases.greetings))
        elif greets < 12:
            opening = draws.choose(phrases.greetings) + phrases.space + opening
        how_many = (0, 0, 0, 0, 1, 1, 1, 1, 2, 2)[draws.below(10)]
        told = [self._volunteer() for _ in range(how_many)]
        sentences = [opening, *(text for _, text in told if text)]
        if len(sentences) > 1 and draws.chance(0.25):
            self._say("user", sentences.pop(0))
        index = len(self.dialogue.roles)
        self._say("user", self._joined(sentences))
        for fact, _ in told:
            self._supply(index, fact, volunteered=True)

    def _volunteer(self) -> tuple[Attribute | None, str]:
        """Something missing that nobody asked for, and a sentence that supplies it; (None, "") if there is none."""
        candidates = [
            item for item in self.pending if item.volunteered and not item.gate and item.name not in self.asked
        ]
        if not candidates:
            return None, ""
        attribute = self.draws.choose(candidates)
        self.pending.remove(attribute)
        return attribute, self._with_value(attribute, self.draws.choose(attribute.volunteered))

    def _joined(self, sentences: list[str]) -> str:
        """The sentences as one text; one that ends in a bare value gets a full stop before the next."""
        if len(sentences) == 1:
            return sentences[0]
        ends, stop = self.phrases.ends, self.phrases.full_stop
        ended = [text if text[-1] in ends else text + stop for text in sentences[:-1]]
        return self.phrases.space.join([*ended, sentences[-1]])

    def _with_value(self, attribute: Attribute, wording: str) -> str:
        value = self.draws.choose(attribute.makers)(self.draws)
        self.values[attribute.name] = value
        return wording.replace("{v}", value)

    def _supply(self, index: int, attribute: Attribute | None, *, volunteered: bool = False) -> None:
        if attribute is None:
            return
        made = self.dialogue
        if volunteered:
            made.volunteered.append(len(made.facts))
        made.facts.append(Fact(index, attribute.name, self.values[attribute.name]))

    def _round(self) -> None:
        """The expert asks, the user answers, or not."""
        draws, pending = self.draws, self.pending
        if self.slips < MAX_SLIPS and draws.chance(self.slip):
            self._slip()
            return
        swap = len(pending) > 1 and not pending[1].gate and draws.chance(OUT_OF_ORDER)
        attribute = pending.pop(1 if swap else 0)
        if attribute.gate and not attribute.gate.opens(self.values):
            return
        asked = [attribute]
        if pending and not pending[0].gate and draws.chance(COMPOUND):
            asked.append(pending.pop(0))
        self._ask(asked)
        if draws.chance(IN_VAIN):
            self._refuse(asked)
        else:
            self._answer(asked)

    def _ask(self, asked: list[Attribute]) -> None:
        draws, phrases, made = self.draws, self.phrases, self.dialogue
        begin = len(made.roles)
        self.asked.update([item.name for item in asked])
        if draws.chance(LOOKUP):
            self._say("assistant", draws.choose(phrases.lookups))
            self._say("tool", draws.choose(phrases.lookup_results))
        text = draws.choose(asked[0].questions)
        if len(asked) > 1:
            join, second = draws.choose(phrases.joins), draws.choose(asked[1].questions)
            text = phrases.space.join([text, join, second] if join else [text, second])
        if asked[0].name in self.again:
            text = draws.choose(phrases.again) + phrases.space + text
        elif made.rounds:
            how = draws.below(20)
            if how == 0:
                self._say("assistant", draws.choose(phrases.acks))
            elif how < 8:
                text = draws.choose(phrases.acks) + phrases.space + text
        made.rounds.append(begin)
        self._say("assistant", text)

    def _refuse(self, asked: list[Attribute]) -> None:
        draws, phrases = self.draws, self.phrases
        self.dialogue.in_vain.append(len(self.dialogue.roles) - 1)
        kind = (phrases.refusals, phrases.unknowns, phrases.unknowns, phrases.smalltalk)[draws.below(4)]
        self._say("user", draws.choose(kind))
        self.pending[:0] = asked[1:]
        if asked[0].name not in self.again and draws.chance(ASK_AGAIN):
            self.again.add(asked[0].name)
            self.pending.insert(0, asked[0])

    def _answer(self, asked: list[Attribute]) -> None:
        draws, phrases = self.draws, self.phrases
        if draws.chance(0.06):
            self._say("user", draws.choose(phrases.waits))
        if len(asked) > 1 and draws.chance(0.15):
            self.pending.insert(0, asked.pop())  # of two questions at once, one is easily overlooked
        sentences = [self._with_value(item, draws.choose(item.replies)) for item in asked]
        if draws.chance(0.25):
            sentences.insert(0, draws.choose(phrases.fillers))
        beside: Attribute | None = None
        if self.pending and draws.chance(VOLUNTEER_BESIDE):
            beside, text = self._volunteer()
            if beside:
                sentences.append(text)
        own_message = sentences.pop() if beside and draws.chance(0.4) else None
        index = len(self.dialogue.roles)
        self._say("user", self._joined(sentences))
        for item in asked:
            self._supply(index, item)
        if own_message:
            index += 1
            self._say("user", own_message)
        self._supply(index, beside, volunteered=True)

    def _slip(self) -> None:
        """What worse experts do: ask beside the point, or for what they were told."""
        draws, phrases, made = self.draws, self.phrases, self.dialogue
        self.slips += 1
        made.rounds.append(len(made.roles))
        made.in_vain.append(len(made.roles))
        if made.facts and draws.chance(0.5):
            fact = draws.choose(made.facts)
            attribute = next(item for case in self.domain.cases for item in case.ask if item.name == fact.attribute)
            self._say("assistant", draws.choose(attribute.questions))
            self._say("user", draws.choose(phrases.repeats).replace("{v}", fact.value))
        else:
            self._say("assistant", draws.choose(phrases.asides))
            self._say("user", draws.choose(phrases.aside_replies))

    def _close(self, *, gave_up: bool) -> None:
        draws, phrases, made = self.draws, self.phrases, self.dialogue
        if gave_up:
            self._say("user", draws.choose(phrases.give_ups))
            if draws.chance(0.6):
                self._say("assistant", draws.choose(phrases.regrets))
            return
        if draws.chance(ANYTHING_ELSE):
            made.rounds.append(len(made.roles))
            made.in_vain.append(len(made.roles))
            self._say("assistant", draws.choose(phrases.anything_else))
            self._say("user", draws.choose(phrases.nothing_else))
        if made.outcome == "failure":
            self._say("assistant", draws.choose(phrases.regrets))
        elif not draws.chance(0.04):  # else the log breaks off with the user's last answer
            self._say("assistant", draws.choose(self.domain.closings))
            if draws.chance(0.04):
                self._say("user", draws.choose(phrases.thanks))


def first_version(spec: LogSpec, index: int, series: str = "s") -> MadeDialogue:
    """Version 1 of dialogue `index`. Series have session ids and contents of their own."""
    return Conversation(f"{series}{spec.seed}-{index}", Draws(spec.seed, index, series), spec).dialogue
