"""Which grader pays the reward: the embedded judge in this process, or an LLM over HTTP."""

from __future__ import annotations

import tempfile
from pathlib import Path

import fsspec

from l2a.errors import UsageError
from l2a.judge.protocols import Grader
from l2a.settings import Settings
from l2a.sql import engine


def grader_name(settings: Settings) -> str:
    """The full name of the grader that `[judge] grader` means. Raises `UsageError` where none is fitted yet."""
    wanted = settings.judge.grader
    if wanted == "llm":
        from l2a.llm.versions import resolve_model_version

        return f"llm:{settings.llm.model}@{resolve_model_version(settings.llm)}"
    from l2a.judge.embedded import JUDGE_VERSION

    rows = engine.connect(settings.warehouse, ("judges",)).execute(
        "SELECT name FROM judges WHERE judge_version = $version ORDER BY created_at DESC, name",
        {"version": JUDGE_VERSION},
    )
    names = [str(row[0]) for row in rows.fetchall()]
    found = names[:1] if wanted == "embedded" else [name for name in names if name == wanted]
    if not found:
        raise UsageError(f"grader {wanted}: no fitted judge of that name; `l2a fit-judge` fits one")
    return found[0]


def open_grader(settings: Settings, name: str, folder: Path) -> Grader:
    """The grader of that name, ready. folder: where an LLM's answers are kept."""
    if name.startswith("llm:"):
        from l2a.judge.over_http import HttpGrader

        return HttpGrader(settings.llm, settings.judge.prompt_form, folder / "grades.sqlite")
    from l2a.judge.embedded import load

    files, path = fsspec.core.url_to_fs(f"{settings.warehouse}/_judges/{name}")
    with tempfile.TemporaryDirectory() as here:
        for file in files.ls(path, detail=False):
            files.get_file(file, str(Path(here) / Path(file).name))
        return load(here).grader
