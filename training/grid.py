"""`l2a grid`: trains the conditions of a recipe and compares them, in the form of the paper's Table 1.

l2a grid demo logs/*.jsonl                            after `l2a run` on these logs
l2a grid laptop --seeds 3 --output docs/results.md

Each step is a command of l2a, so that a grid which is killed goes on where it was: what is trained stays trained, what
is graded stays graded. A training has a process of its own, which gives its memory back; the steps that measure share
this one, and with it one Spark session.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import click

from l2a.conditions import BUILT_IN
from l2a.errors import L2AError
from l2a.next_steps import next_steps
from l2a.options import Command, common, settings_of
from l2a.output_file import check
from l2a.progress import say
from training.recipes import BASELINE, Method, Recipe, load


def condition_name(method: str, seed: int) -> str:
    """The condition of a method; seeds beyond the first are told apart."""
    return method if seed == 0 else f"{method}-seed{seed}"


def grid(
    recipe: Recipe, conditions: Sequence[Method], recipe_name: str, seeds: int, arguments: list[str]
) -> tuple[dict[str, float], str]:
    """Trains, rolls out, grades and evaluates; seconds of each step, and the id of the evaluation, which may be an
    earlier one where nothing is new. arguments: --warehouse and --config, for all.

    Raises `L2AError` where a step fails, naming it; what was finished is kept.
    """
    taken: dict[str, float] = {}
    trained = [(method, seed) for seed in range(seeds) for method in conditions]
    for method, seed in trained:
        name = condition_name(method, seed)
        words = ["train", method, "--condition", name, "--recipe", recipe_name, "--seed", str(seed)]
        taken[f"train {name}"] = _train([*words, *arguments])
    names = [condition_name(method, seed) for method, seed in trained]
    asked = [word for name in (*BUILT_IN, *names) for word in ("--condition", name)]
    taken["rollout"], _ = _measure(["rollout", *asked, "--samples", str(recipe.grid.samples), *arguments])
    if recipe.grid.greedy:
        asked = [word for name in names for word in ("--condition", name)]
        taken["rollout --greedy"], _ = _measure(["rollout", "--greedy", *asked, *arguments])
    taken["grade"], _ = _measure(["grade", *arguments])
    baseline = ["--baseline", BASELINE] if BASELINE in names else []
    taken["evaluate"], evaluation_id = _measure(["evaluate", *baseline, *arguments])
    return taken, str(evaluation_id)


def _train(words: list[str]) -> float:
    """Seconds that a command took in a process of its own. Its messages go where ours go."""
    started = _say(words)
    done = subprocess.run([sys.executable, "-m", "l2a.cli", *words], stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise _failure(words, f"ended with exit code {done.returncode}; its message is above.")
    return time.monotonic() - started


def _measure(words: list[str], *, shows: bool = False) -> tuple[float, Any]:
    """Seconds that a command took in this process, and what it returned. The table that it prints is left to the end of
    the grid, unless `shows`."""
    started = _say(words)
    front_door = click.get_current_context().find_root().command
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        try:
            with contextlib.nullcontext() if shows else contextlib.redirect_stdout(nowhere):
                returned = front_door.main(words, prog_name="l2a", standalone_mode=False)
        except click.ClickException as error:
            raise _failure(words, f"ended with an error: {error.format_message()}") from error
    return time.monotonic() - started, returned


def _say(words: list[str]) -> float:
    say(f"grid: l2a {' '.join(words)}")
    return time.monotonic()


def _failure(words: list[str], what: str) -> L2AError:
    return L2AError(
        f"grid: `l2a {' '.join(words)}` {what} What was finished is kept: run the same grid again when that is mended."
    )


@click.command("grid", cls=Command)
@click.argument("recipe", metavar="RECIPE")
@click.argument("logs", nargs=-1, metavar="[LOGS]...")
@click.option(
    "--condition", "conditions", multiple=True, type=click.Choice(get_args(Method)), help="Only this one; repeatable."
)
@click.option("--seeds", type=click.IntRange(1, 20), help="Seeds to train each condition with [default: the recipe's].")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="A page (Markdown) with tables and answers."
)
@common
def command(
    recipe: str,
    logs: tuple[str, ...],
    conditions: tuple[Method, ...],
    seeds: int | None,
    output: Path | None,
    config: str | None,
    warehouse: str | None,
) -> None:
    """Train and evaluate all conditions of RECIPE; print them as the paper's Table 1.

    RECIPE is the name of one that ships, or a file. LOGS, if there are any, are taken in first, as by `l2a run`.
    """
    from training import results, results_page

    # Workers ask tokenizers beside each other.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    settings = settings_of(config, warehouse)
    chosen = load(recipe, settings.train.recipes)
    if output is not None:
        check(output)  # not after hours of training
    arguments = [
        *(("--warehouse", warehouse) if warehouse else ()),
        *(("--config", config) if config else ()),
    ]
    if logs:
        _measure(["run", *logs, *arguments], shows=True)
    wanted = conditions or chosen.grid.conditions
    taken, evaluation_id = grid(chosen, wanted, recipe, seeds or chosen.grid.seeds, list(arguments))
    found = results.read(settings.warehouse, settings.evaluate.replicates, evaluation_id)
    results.show(found)
    if output is not None:
        only = [word for name in conditions for word in ("--condition", name)]
        typed = " ".join(["l2a grid", recipe, *only, *(("--seeds", str(seeds)) if seeds else ())])
        output.write_text(results_page.page(found, chosen, typed, taken), encoding="utf-8")
        say(f"grid: {output} holds tables, differences and answers side by side")
    judged = "grpo" if "grpo" in wanted else wanted[-1]
    looks = {
        'sql "SELECT * FROM metric_table"': "the same table, for queries",
        "report": "one page to read in a browser: metrics, funnel, answers side by side",
        f"promote {judged}": "makes it the champion if the rule allows, and says why or why not",
        f"serve {judged}": "the policy behind an OpenAI-compatible endpoint",
    }
    say(next_steps(looks, settings.warehouse))
