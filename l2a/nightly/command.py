"""`l2a check`: whether tables say what they must.

l2a check                        the whole warehouse: when no step is under way
l2a check --date 2026-11-21      one night: what came with it, whatever else is under way
"""

from __future__ import annotations

import datetime as dt
import sys

import click

from l2a.errors import ChecksFailed, UsageError
from l2a.nightly.checks import Finding, check_night, check_warehouse
from l2a.options import Command, common, settings_of
from l2a.sql import output


@click.command("check", cls=Command)
@click.option("--date", metavar="YYYY-MM-DD", help="Only this night.")
@click.option("--max-quarantined-share", type=click.FloatRange(0, 1), help="Most rejected lines of a night [0.05].")
@common
def command(date: str | None, max_quarantined_share: float | None, config: str | None, warehouse: str | None) -> None:
    """Checks of a night or of the whole warehouse; exit code 1 where one fails."""
    settings = settings_of(config, warehouse, nightly={"max_quarantined_share": max_quarantined_share})
    if date is None and max_quarantined_share is not None:
        raise UsageError("--max-quarantined-share is about a night: give --date, too")
    if date is None:
        findings = check_warehouse(settings.warehouse)
    else:
        try:
            night = dt.date.fromisoformat(date).isoformat()
        except ValueError:
            raise UsageError(f"--date {date}: a date is written YYYY-MM-DD") from None
        findings = check_night(settings.warehouse, night, settings.nightly)
    rows = [
        ("ok" if found.ok else "FAILED", found.about, found.says, "" if found.ok else found.todo) for found in findings
    ]
    output.table(["check", "about", "says", "what helps"], iter(rows), sys.stdout)
    refuse_failed(findings)


def refuse_failed(findings: list[Finding]) -> None:
    """Raises `ChecksFailed` with a sentence for each check that failed."""
    failed = [f"{found.about}: {found.says} (what helps: {found.todo})" for found in findings if not found.ok]
    if failed:
        raise ChecksFailed("; ".join(failed))


if __name__ == "__main__":
    command()
