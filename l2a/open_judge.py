"""The configured judge as objects in this process: from the warehouse's artifacts, or over HTTP. No Spark."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec

from l2a.errors import UsageError
from l2a.judge.protocols import Grader
from l2a.settings import Settings
from l2a.sql import engine

if TYPE_CHECKING:
    from l2a.judge.embedded import EmbeddedJudge


def grader_name(settings: Settings) -> str:
    """The full name of the grader that `[judge] grader` means.

    Raises `UsageError` where none is fitted yet, and for an LLM's full name that the settings do not make.
    """
    wanted = settings.judge.grader
    if not is_llm(wanted):
        return embedded_name(settings, wanted, "grader")
    from l2a.llm import prompts
    from l2a.llm.versions import resolve_model_version

    version = resolve_model_version(settings.llm)
    made = prompts.grader_name(str(settings.llm.model), version, settings.judge.prompt_form)
    check_llm_name(wanted, made, "grader")
    return made


def is_llm(wanted: str) -> bool:
    """Whether a setting names an LLM as the judge: by `llm`, or by its full name."""
    return wanted.partition(":")[0] == "llm"


def check_llm_name(wanted: str, made: str, kind: str) -> None:
    """Raises `UsageError` for a full name of an LLM judge that is not what the settings make."""
    if wanted not in ("llm", made):
        raise UsageError(f"--{kind} {wanted}: the model and the [judge] settings make {made}; give that, or `llm`")


def embedded_name(settings: Settings, wanted: str, kind: str) -> str:
    """The fitted judge that `wanted` (embedded, or a full name) means. Raises `UsageError` where there is none."""
    from l2a.judge.embedded import JUDGE_VERSION

    rows = engine.connect(settings.warehouse, ("judges",)).execute(
        "SELECT name FROM judges WHERE judge_version = $version ORDER BY created_at DESC, name",
        {"version": JUDGE_VERSION},
    )
    names = [str(row[0]) for row in rows.fetchall()]
    found = names[:1] if wanted == "embedded" else [name for name in names if name == wanted]
    if not found:
        raise UsageError(
            f"{kind} {wanted}: no fitted judge of that name: `l2a fit-judge` fits one, "
            "which `embedded` then means; the table judges has the names of those there are"
        )
    return found[0]


def open_grader(settings: Settings, name: str, folder: Path, *, ranks: int = 1, rank: int = 0) -> Grader:
    """The grader of that full name, ready. folder: where an LLM's answers are kept. ranks, rank: of the processes that
    ask one, which share the spending limit and the calls in flight.

    Raises `UsageError` where the settings make another LLM grader.
    """
    if is_llm(name):
        from l2a.llm.http_grader import HttpGrader
        from l2a.llm.sync import Asker

        asker = Asker(settings.llm, tasks=ranks, number=rank)
        grader = HttpGrader(settings.llm, settings.judge.prompt_form, folder / "grades.sqlite", asker=asker)
        if grader.name != name:
            # What it says would stand under the other's name in stages, tables and the model's card.
            grader.close()
            raise UsageError(
                f"this training was begun with the grader {name}, and the settings now give {grader.name}: set [llm] "
                "model, model_version and endpoints and [judge] prompt_form back, or train under another condition's "
                "name or with another seed"
            )
        return grader
    return open_embedded(settings, name).grader


def open_embedded(settings: Settings, name: str) -> EmbeddedJudge:
    """The fitted judge of that name. Raises `UsageError` where its files are none that this l2a reads."""
    from l2a.judge.embedded import load

    files, path = fsspec.core.url_to_fs(f"{settings.warehouse}/_judges/{name}")
    with tempfile.TemporaryDirectory() as here:
        try:
            for file in files.ls(path, detail=False):
                files.get_file(file, str(Path(here) / Path(file).name))
            return load(here)
        except (UsageError, FileNotFoundError) as error:
            raise UsageError(
                f"the judge {name} was fitted by another l2a, or its files in {settings.warehouse}/_judges are "
                "damaged or gone: `l2a fit-judge` fits one anew. A training that was begun with it goes on with that "
                "l2a only; train under another condition's name or with another seed"
            ) from error
