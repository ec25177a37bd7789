"""A real vLLM on the tiny model, and what it says about itself, for the slow tests (fixture `vllm_server`)."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from l2a.serving.process import serving
from l2a.serving.tiny import TINY_ARGUMENTS, make_tiny_model
from l2a.settings.llm import LLMSettings

COUNTERS = ("prefix_cache_queries", "prefix_cache_hits", "prompt_tokens", "generation_tokens")
BLOCK_TOKENS = 128
"""vLLM caches whole blocks of so many tokens on a CPU: a shorter common prefix is never a hit."""


@dataclass(frozen=True)
class VllmServer:
    """A vLLM that serves the tiny model for the whole test run. All tests share it: look at differences of metrics."""

    url: str
    model: str
    model_version: str

    def metrics(self) -> dict[str, int]:
        """vLLM's own counters since it started: tokens looked up in the prefix cache, found there, read, written."""
        with urllib.request.urlopen(f"{self.url.removesuffix('/v1')}/metrics", timeout=30) as response:
            lines = response.read().decode()
        return {name: _sum(lines, f"vllm:{name}_total") for name in COUNTERS}

    def settings(self, **changes: object) -> LLMSettings:
        """Settings that ask this server, and it alone."""
        given = {"endpoints": (self.url,), "model": self.model, "model_version": self.model_version}
        return LLMSettings.model_validate(given | changes)


@contextmanager
def tiny_vllm(folder: Path) -> Iterator[VllmServer]:
    """Makes the tiny model in `folder` and serves it on a free port."""
    model = make_tiny_model(folder)
    with serving(model, "tiny", log=folder / "vllm.log", arguments=TINY_ARGUMENTS) as server:
        yield VllmServer(server.url, server.model, server.model_version)


def _sum(lines: str, name: str) -> int:
    found = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", lines, re.MULTILINE)
    assert found, f"vLLM's metrics have no {name}"
    return int(sum(map(float, found)))
