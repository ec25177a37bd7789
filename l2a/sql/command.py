"""`l2a sql`: one statement over all tables and views of a warehouse.

l2a sql "SELECT split, count(*) FROM dialogues GROUP BY split"
l2a sql --file question.sql --format csv --output answer.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from l2a.errors import UsageError
from l2a.options import Command, common, settings_of
from l2a.output_file import replacing
from l2a.sql import output
from l2a.sql.engine import connect, query
from l2a.sql.statement import names_in, reading


@click.command("sql", cls=Command)
@click.argument("statement", required=False, metavar='"SELECT ..."')
@click.option("--file", "source", metavar="FILE", help="Read the statement from a file (- for standard input).")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(output.FORMATS)),
    default="table",
    show_default=True,
    help="Form of the rows.",
)
@click.option("--output", "target", metavar="FILE", help="Write the rows to a file instead of standard output.")
@common
def command(
    statement: str | None,
    source: str | None,
    form: str,
    target: str | None,
    config: str | None,
    warehouse: str | None,
) -> None:
    """SQL over all tables and views, without Spark. sql/README.md lists them, with questions and their queries."""
    if (statement is None) == (source is None):
        raise UsageError("give one statement, or --file with one")
    sql = _read(source) if source is not None else statement or ""
    root = settings_of(config, warehouse).warehouse
    result = query(connect(root, only=names_in(reading(sql))), sql)
    if target is None:
        output.FORMATS[form](result.columns, result.rows, sys.stdout)
        sys.stdout.flush()
    else:
        with replacing(Path(target)) as out:
            output.FORMATS[form](result.columns, result.rows, out)


def _read(source: str) -> str:
    try:
        return sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the statement from {source}: {error}") from None


if __name__ == "__main__":
    command()
