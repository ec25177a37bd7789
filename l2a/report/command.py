"""`l2a report`: the newest evaluation and all that surrounds it, as one page to read in a browser. Without Spark.

l2a report
l2a report --output reports/november.html --title "November, all domains"
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from l2a.errors import UsageError
from l2a.options import Command, common, settings_of
from l2a.progress import say
from l2a.report.contents import Contents
from l2a.report.page import page


@click.command("report", cls=Command)
@click.option("--output", metavar="FILE", default="report.html", show_default=True, help="The page.")
@click.option("--title", default="Learn-to-Ask: policies compared", show_default=True, help="Its heading.")
@common
def command(output: str, title: str, config: str | None, warehouse: str | None) -> None:
    """Metrics, comparisons, slices, funnel, rejected lines, runs and answers side by side, as one HTML page."""
    text = page(Contents(settings_of(config, warehouse).warehouse), title)
    _write(Path(output), text)
    click.echo(output)
    say(f"report: {len(text.encode()):,} bytes, one file; open it in a browser")


def _write(target: Path, text: str) -> None:
    """Into a file beside the target first: who has the page open never reads half of it."""
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, target)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from None


if __name__ == "__main__":
    command()
