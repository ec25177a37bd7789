"""`l2a report`: the newest evaluation and all that surrounds it, as one page to read in a browser. Without Spark.

l2a report
l2a report --output reports/november.html --title "November, all domains"
"""

from __future__ import annotations

from pathlib import Path

import click

from l2a.options import Command, common, settings_of
from l2a.output_file import replacing
from l2a.progress import say
from l2a.report.contents import Contents
from l2a.report.page import page


@click.command("report", cls=Command)
@click.option("--output", metavar="FILE", default="report.html", show_default=True, help="The page.")
@click.option("--title", default="Learn-to-Ask: policies compared", show_default=True, help="Heading of the page.")
@common
def command(output: str, title: str, config: str | None, warehouse: str | None) -> None:
    """Metrics, comparisons, slices, funnel, rejected lines, runs and answers side by side, as one HTML page."""
    with replacing(Path(output)) as file:
        text = page(Contents(settings_of(config, warehouse)), title)
        file.write(text)
    click.echo(output)
    say(f"report: {len(text.encode()):,} bytes, one file; open it in a browser")


if __name__ == "__main__":
    command()
