"""`l2a promote`: makes a condition's newest model champion if the rule allows it, and says why or why not.

l2a promote grpo
l2a promote grpo --format json                  the answer for programs
l2a promote grpo --force --why "hot fix"        against the rule: recorded with who and why
"""

from __future__ import annotations

import dataclasses
import getpass
import json
from typing import Any

import click

from l2a.conditions import RANDOM
from l2a.errors import L2AError, UsageError
from l2a.metrics.paired import Difference
from l2a.options import Command, common, settings_of
from l2a.progress import say
from l2a.promotion.evidence import Evidence, Judged
from l2a.promotion.guard import capability
from l2a.promotion.rule import Capability, Decision, decide
from l2a.registry import Registry, Version
from l2a.settings import Settings


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a promotion came to."""

    version: Version
    champion: Version | None
    """Before it."""
    decision: Decision
    judged: Judged | None
    """By whose grades; None: nothing was compared."""
    differences: list[Difference]
    promoted: bool
    forced: bool

    def lines(self) -> list[str]:
        """As a person reads it."""
        there = self.champion.title if self.champion else "no champion"
        against = self.champion.title if self.champion else f"built-in {RANDOM}, since there is no champion yet"
        if not self.promoted:
            first = f"kept {there}: {self.version.title} was compared with {against}"
        else:
            first = f"promoted {self.version.title}, compared with {against}"
        by = f", {self.judged}" if self.judged else ""
        return [first + by + (", against the rule (--force)" if self.forced else ""), *self.decision.reasons]

    def record(self) -> dict[str, Any]:
        """As a program reads it."""
        return {
            "outcome": "promoted" if self.promoted else "kept",
            "forced": self.forced,
            "condition": self.version.condition,
            "number": self.version.number,
            "model_version": self.version.model_version,
            "champion": None if self.champion is None else dataclasses.asdict(self.champion),
            "judged": None if self.judged is None else dataclasses.asdict(self.judged),
            "reasons": self.decision.reasons,
            "differences": [dataclasses.asdict(difference) for difference in self.differences],
        }


def promote(settings: Settings, condition: str, *, by: str, force: bool = False, why: str | None = None) -> Outcome:
    """Decides, and makes the condition's newest version champion where the rule or `force` says so.

    Raises UsageError where there is no such model, or grades to compare are missing; L2AError where the champion
    changed meanwhile.
    """
    registry = Registry.open(settings)
    version = registry.newest(condition)
    if version is None:
        there = ", ".join(registry.conditions()) or "none"
        raise UsageError(f"no model is registered as condition {condition}; there are: {there}")
    champion = registry.champion()
    if champion == version:
        return Outcome(version, champion, Decision(False, ["it is champion already"]), None, [], False, False)
    try:
        judged, found, decision = _decide(settings, registry, version, champion)
    except L2AError as error:
        if not force:
            raise
        # Forced means: also where nothing can be compared.
        judged, found, decision = None, [], Decision(False, [str(error)])
    promoted = decision.promote or force
    forced = promoted and not decision.promote
    if promoted and not force and registry.champion() != champion:
        raise L2AError(
            f"while {version.title} was compared with {champion.title if champion else RANDOM}, another model became "
            "champion: promote again"
        )
    if promoted:
        registry.crown(version, by, why or "; ".join(decision.reasons), forced=forced)
    return Outcome(version, champion, decision, judged, found, promoted, forced)


def _decide(
    settings: Settings, registry: Registry, version: Version, champion: Version | None
) -> tuple[Judged | None, list[Difference], Decision]:
    evidence = Evidence.newest(settings)
    sides = evidence.candidate(version), evidence.champion(champion)
    found = evidence.differences(*sides, settings.evaluate.replicates)
    tasks = settings.train.lm_eval_tasks
    mine = Capability() if champion is None else capability(registry, version, tasks)
    theirs = None if champion is None else capability(registry, champion, tasks)
    return evidence.judged, found, decide(found, mine, theirs, perplexity_margin=settings.train.perplexity_margin)


@click.command("promote", cls=Command)
@click.argument("condition")
@click.option("--force", is_flag=True, help="Promote it whatever the rule says; --why is recorded with the model.")
@click.option("--why", metavar="TEXT", help="The reason to record [default: the rule's].")
@click.option("--by", metavar="NAME", help="Who promotes [default: the user's name on this machine].")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@common
def command(
    condition: str,
    force: bool,
    why: str | None,
    by: str | None,
    form: str,
    config: str | None,
    warehouse: str | None,
) -> None:
    """Makes a condition's newest model champion if the promotion rule allows, and says why or why not.

    Ends with exit code 0 either way: that the champion is kept is an answer.
    """
    if force and not (why and why.strip()):
        raise UsageError("--force goes against the rule, so it needs --why TEXT, which is recorded with the model")
    outcome = promote(settings_of(config, warehouse), condition, by=by or _user(), force=force, why=why)
    if form == "json":
        click.echo(json.dumps(outcome.record(), ensure_ascii=False))
        return
    first, *reasons = outcome.lines()
    click.echo(first)
    for reason in reasons:
        click.echo(f"  {reason}")
    if outcome.promoted:
        say(f"promote: `l2a serve champion` serves {outcome.version.title}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


if __name__ == "__main__":
    command()
