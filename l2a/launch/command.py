"""`l2a job`: jobs that outlive the terminal, such as trainings.

l2a job submit grpo-20261122 -- l2a train grpo --condition grpo-20261122 --recipe laptop
l2a job list
l2a job status grpo-20261122       running, finished, failed, died, cancelled or unknown
l2a job logs grpo-20261122
l2a job cancel grpo-20261122
"""

from __future__ import annotations

import click

from l2a.launch.launcher import Launcher, launcher
from l2a.launch.record import Status
from l2a.options import Command, common, settings_of
from l2a.progress import say

NAME = click.argument("name", metavar="NAME")


@click.group()
def command() -> None:
    """Jobs that outlive the terminal: submit, list, status, logs, cancel, forget."""


def _jobs(config: str | None, warehouse: str | None) -> Launcher:
    return launcher(settings_of(config, warehouse))


def _show(status: Status) -> None:
    say(f"{status.says} (start {status.starts})")
    click.echo(status.state)


@command.command(cls=Command)
@NAME
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND...", type=click.UNPROCESSED)
@click.option("--group", metavar="NAME", help="Of the jobs of a group only one runs at a time.")
@click.option("--again", is_flag=True, help="Start also what finished, failed, was cancelled or died too often.")
@common
def submit(
    name: str, words: tuple[str, ...], group: str | None, again: bool, config: str | None, warehouse: str | None
) -> None:
    """Start a job detached; if it runs already, find it; if it died, start it again."""
    _show(_jobs(config, warehouse).submit(name, words, group=group, again=again))


@command.command(cls=Command)
@NAME
@common
def status(name: str, config: str | None, warehouse: str | None) -> None:
    """Print one word: running, finished, failed, died, cancelled or unknown."""
    _show(_jobs(config, warehouse).status(name))


@command.command(cls=Command)
@NAME
@click.option("--lines", type=click.IntRange(1), default=50, show_default=True, help="Number of last lines.")
@common
def logs(name: str, lines: int, config: str | None, warehouse: str | None) -> None:
    """Print the last lines that a job said."""
    click.echo(_jobs(config, warehouse).output(name, lines))


@command.command(cls=Command)
@NAME
@click.option("--gone", is_flag=True, help="Its machine is gone for good: count it as cancelled, ask nobody.")
@common
def cancel(name: str, gone: bool, config: str | None, warehouse: str | None) -> None:
    """End a job with all its processes; it is not started again."""
    _show(_jobs(config, warehouse).cancel(name, gone=gone))


@command.command(cls=Command)
@NAME
@common
def forget(name: str, config: str | None, warehouse: str | None) -> None:
    """Remove what is known of a job that is over."""
    _jobs(config, warehouse).forget(name)


@command.command("list", cls=Command)
@common
def list_jobs(config: str | None, warehouse: str | None) -> None:
    """Print all jobs: name, state, starts, and what there is to say."""
    jobs = _jobs(config, warehouse)
    for name in jobs.names():
        found = jobs.status(name)
        click.echo(f"{name}\t{found.state}\t{found.starts}\t{found.says}")


if __name__ == "__main__":
    command()
