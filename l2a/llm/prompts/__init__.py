"""The prompts of extractor, grader and policy: versioned files, and the requests made of them.

    v1/extract.md, grade.md, rollout*.md   instructions, in the words of the method; language-neutral
    frame.py                               how dialogues stand in a prompt: as data that cannot close its own frame
    extraction.py, grading.py, rollout.py  messages, schema of the answer, and the way back to facts and judgements

Two forms. `paper` is the published order (what differs comes before what is shared); `prefix` puts what is shared first
(instructions, dialogue, then what differs), so that an endpoint's prefix cache serves it. A change to a file's words is
a new version in a new folder: the version is part of the judge's name.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal

Form = Literal["paper", "prefix"]
VERSION = "v1"


def grader_name(model: str, model_version: str, form: Form) -> str:
    """An LLM grader's name, as in `grades.grader`: all that its answers depend on."""
    return f"llm:{model}@{model_version}:{form}-{VERSION}"


def extractor_name(model: str, model_version: str, form: str) -> str:
    """An LLM extractor's name, as in `objectives.extractor`: what it says is also checked, by a rule of ours."""
    from l2a.llm.prompts.borne_out import RULE

    return f"llm:{model}@{model_version}:{form}-{VERSION}.{RULE}"


@cache
def instructions(name: str, version: str = VERSION) -> str:
    """The text of a prompt file, such as `extract`."""
    return files(__package__).joinpath(version, f"{name}.md").read_text(encoding="utf-8").strip()
