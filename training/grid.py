"""`l2a grid`: trains the conditions of a recipe and compares them, in the form of the paper's Table 1.

l2a grid demo --warehouse demo/warehouse
l2a grid laptop --seeds 3 --output docs/results.md

Each step is a command of l2a in a process of its own, so that a grid which is killed goes on where it was: what is
trained stays trained, what is graded stays graded.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click

from l2a.errors import L2AError
from l2a.options import Command, common, settings_of
from l2a.progress import say
from training.recipes import BUILT_IN, Method, Recipe, load

BASELINE = "sft"


def condition_name(method: str, seed: int) -> str:
    """The condition of a method; seeds beyond the first are told apart."""
    return method if seed == 0 else f"{method}-seed{seed}"


def grid(
    recipe: Recipe, conditions: Sequence[Method], recipe_name: str, seeds: int, arguments: list[str]
) -> dict[str, float]:
    """Trains, rolls out, grades and evaluates; seconds of each step. arguments: --warehouse and --config, for all.

    Raises `L2AError` where a step fails, naming it; what was finished is kept.
    """
    taken: dict[str, float] = {}
    trained = [(method, seed) for seed in range(seeds) for method in conditions]
    for method, seed in trained:
        name = condition_name(method, seed)
        words = ["train", method, "--condition", name, "--recipe", recipe_name, "--seed", str(seed)]
        taken[f"train {name}"] = _run([*words, *arguments])
    names = [condition_name(method, seed) for method, seed in trained]
    asked = [word for name in (*BUILT_IN, *names) for word in ("--condition", name)]
    taken["rollout"] = _run(["rollout", *asked, "--samples", str(recipe.grid.samples), *arguments])
    if recipe.grid.greedy:
        asked = [word for name in names for word in ("--condition", name)]
        taken["rollout --greedy"] = _run(["rollout", "--greedy", *asked, *arguments])
    taken["grade"] = _run(["grade", *arguments])
    baseline = ["--baseline", BASELINE] if BASELINE in names else []
    taken["evaluate"] = _run(["evaluate", *baseline, *arguments])
    return taken


def _run(words: list[str]) -> float:
    """Seconds that a command took. Its own messages go where ours go; its table is left to the end."""
    say(f"grid: l2a {' '.join(words)}")
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "l2a.cli", *words], stdout=subprocess.DEVNULL, check=False, env=_environment()
    )
    if done.returncode:
        raise L2AError(
            f"grid: `l2a {' '.join(words)}` ended with exit code {done.returncode}; its message is above. What was "
            "finished is kept: run the same grid again when that is mended."
        )
    return time.monotonic() - started


def _environment() -> dict[str, str]:
    return {**os.environ, "TOKENIZERS_PARALLELISM": "false"}


@click.command("grid", cls=Command)
@click.argument("recipe", metavar="RECIPE")
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
    conditions: tuple[Method, ...],
    seeds: int | None,
    output: Path | None,
    config: str | None,
    warehouse: str | None,
) -> None:
    """Train and evaluate all conditions of RECIPE; print them as the paper's Table 1.

    RECIPE is the name of one that ships, or a file.
    """
    from training import results

    settings = settings_of(config, warehouse)
    chosen = load(recipe, settings.train.recipes)
    arguments = [
        *(("--warehouse", warehouse) if warehouse else ()),
        *(("--config", config) if config else ()),
    ]
    wanted = conditions or chosen.grid.conditions
    taken = grid(chosen, wanted, recipe, seeds or chosen.grid.seeds, list(arguments))
    found = results.read(settings.warehouse)
    results.show(found)
    if output is not None:
        only = [word for name in conditions for word in ("--condition", name)]
        typed = " ".join(["l2a grid", recipe, *only, *(("--seeds", str(seeds)) if seeds else ())])
        output.write_text(results.page(found, chosen, typed, taken), encoding="utf-8")
        say(f"grid: {output} holds tables, differences and answers side by side")
