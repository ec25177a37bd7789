"""`l2a train`: a policy from the tables.

l2a train base --condition base --recipe laptop
l2a train grpo --condition grpo --recipe laptop
l2a train grpo --condition grpo --recipe qwen2.5-7b-lora --dry-run
"""

from __future__ import annotations

import os
from typing import Any, get_args

import click

from l2a.open_judge import is_llm
from l2a.options import Command, common, llm_given, llm_options, refuse_llm_options, settings_of
from training.recipes import Method, load, shipped


@click.command("train", cls=Command)
@click.argument("method", type=click.Choice(get_args(Method)))
@click.option("--condition", required=True, metavar="NAME", help="The name under which the model is registered.")
@click.option(
    "--recipe",
    default="laptop",
    show_default=True,
    metavar="NAME|FILE",
    help=f"One of {', '.join(shipped())}, or a file.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed.")
@click.option("--dry-run", is_flag=True, help="Check recipe and data, estimate steps, memory and hours; train nothing.")
@llm_options
@common
def command(
    method: str,
    condition: str,
    recipe: str,
    seed: int,
    dry_run: bool,
    config: str | None,
    warehouse: str | None,
    **llm: Any,
) -> None:
    """Train a condition by METHOD and register its model.

    The same command again goes on where a killed training was, or does nothing when it is finished. An LLM is
    asked where it is the grader ([judge] grader).
    """
    given = llm_given(**llm)
    settings = settings_of(config, warehouse, llm=given)
    if method in ("base", "sft"):
        refuse_llm_options(given, f"a training by {method} has no grader")
    elif not is_llm(settings.judge.grader):
        refuse_llm_options(given, f"the grader is {settings.judge.grader}")
    chosen = load(recipe, settings.train.recipes)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if dry_run:
        from training.dry_run import dry_run as look

        for line in look(settings, chosen, method, seed):
            click.echo(line)
        return
    from training.quiet import quiet
    from training.train import train

    quiet()
    train(settings, chosen, method, condition, seed)


if __name__ == "__main__":
    command()
