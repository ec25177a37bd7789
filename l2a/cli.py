"""The front door: `l2a COMMAND`. A command's code, and what it needs, is imported when that command runs."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import click

import l2a


@dataclass(frozen=True)
class _Entry:
    target: str
    help: str


COMMANDS = {
    "run": _Entry("spark_jobs.run", "The whole loop on logs; prints the metric table."),
    "ingest": _Entry("spark_jobs.ingest", "Logs into dialogues, bad lines into quarantine."),
    "slice": _Entry("spark_jobs.slice", "New or changed dialogues into turns."),
    "fit-judge": _Entry("spark_jobs.fit_judge", "Learn the embedded judge from the train split."),
    "judge-check": _Entry("l2a.judge_check.command", "Whether a judge can be trusted: repeats, anchors, attacks."),
    "extract": _Entry("spark_jobs.extract", "New usable turns into objectives."),
    "rollout": _Entry("spark_jobs.rollout", "A condition's answers into rollouts."),
    "grade": _Entry("spark_jobs.grade", "Ungraded rollouts into grades."),
    "evaluate": _Entry("spark_jobs.evaluate", "Grades into metrics with intervals; prints the table."),
    "estimate": _Entry("spark_jobs.estimate", "Calls, tokens and money that a step would pay for."),
    "maintain": _Entry("spark_jobs.maintain", "Compacts, cleans up and checks all tables."),
    "check": _Entry("l2a.nightly.command", "Whether a night, or the whole warehouse, adds up."),
    "retrain-due": _Entry("l2a.nightly.retraining", "Whether the logs have grown enough to train again."),
    "job": _Entry("l2a.launch.command", "Jobs that outlive the terminal: submit, status, logs, cancel."),
    "train": _Entry("training.command", "A policy from the tables, registered under a condition's name."),
    "grid": _Entry("training.grid", "All conditions of a recipe, trained and compared: the paper's Table 1."),
    "promote": _Entry("l2a.promotion.command", "The champion, if the rule allows; says why or why not."),
    "serve": _Entry("l2a.serving.command", "vLLM on registered models; --tiny makes one to try."),
    "report": _Entry("l2a.report.command", "One page to read in a browser: metrics, funnel, runs, answers."),
    "sql": _Entry("l2a.sql.command", "SQL over all tables and views, without Spark."),
    "status": _Entry("l2a.sql.status", "What ran last, and what waits."),
    "synth": _Entry("l2a.synth.command", "Made-up production logs with known truth."),
    "doctor": _Entry("l2a.doctor", "What this machine has, what it lacks, and what to do."),
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        try:
            command: click.Command = importlib.import_module(COMMANDS[name].target).command
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] in ("l2a", "spark_jobs", "training"):
                raise
            raise click.ClickException(
                f"`l2a {name}` needs the package {error.name}, which is not installed; "
                "`l2a doctor` says which part of l2a brings it"
            ) from None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(l2a.__version__)
def main() -> None:
    """Learn-to-Ask: from logs of expert dialogues to policies that ask the right question and know when to stop."""


if __name__ == "__main__":
    main(prog_name="l2a")
