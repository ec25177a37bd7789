"""Which weights stand behind a served name: the setting says it, or the endpoints do, or nobody does and we refuse.

A model's answers are kept under its version. A guess (the name itself, the folder it was loaded from) would let new
weights be answered from old calls, silently and for good. Of what GET /models tells, only these name weights:
a field `model_version`, `version` or `revision`, and a `root` that holds a commit hash: `.../snapshots/<hash>` as the
Hugging Face cache has it, or `<anything>@<hash>`.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from l2a.errors import UsageError
from l2a.llm.classify import error_of
from l2a.llm.client import Client
from l2a.llm.errors import ModelVersionRequired, UnknownModel
from l2a.llm.settings import LLMSettings

_HASHED_ROOT = re.compile(r"(?:/snapshots/|@)([0-9a-f]{12,64})/?\Z")
_NAMING_FIELDS = ("model_version", "version", "revision")


def resolve_model_version(settings: LLMSettings) -> str:
    """The version to address calls with. Call it outside an event loop.

    Raises ModelVersionRequired where nobody names one or two endpoints differ, UnknownModel where an endpoint does not
    serve the model, UsageError where no model or endpoint is set, CallError where an endpoint does not answer.
    """
    if not settings.model:
        raise UsageError("No model is set. Give --model NAME.")
    if settings.model_version and settings.model_version.strip():
        return settings.model_version.strip()
    if not settings.endpoints:
        raise UsageError("No LLM endpoint is set. Give --endpoint URL.")
    return asyncio.run(_ask_all(settings, settings.model))


async def _ask_all(settings: LLMSettings, model: str) -> str:
    async with Client(settings) as client:
        versions = await asyncio.gather(*(_ask(client, endpoint, model) for endpoint in settings.endpoints))
    if len(set(versions)) > 1:
        told = ", ".join(
            f"{endpoint}: {version}" for endpoint, version in zip(settings.endpoints, versions, strict=True)
        )
        raise ModelVersionRequired(
            f"The endpoints serve different versions of {model!r} ({told}). Serve one, or ask only those that do."
        )
    return versions[0]


async def _ask(client: Client, endpoint: str, model: str) -> str:
    status, body = await client.get(f"{endpoint}/models")
    if status != 200:
        raise error_of(status, body, endpoint=endpoint, model=model, scrub=client.key.scrub_error)
    served = _served(body)
    card = next((card for card in served if card.get("id") == model), None)
    if card is None:
        names = ", ".join(str(card.get("id"))[:80] for card in served[:10]) or "nothing"
        raise UnknownModel(f"{endpoint} does not serve {model!r}; it serves: {client.key.scrub_error(names)}")
    version = version_of(card)
    if version is None:
        raise ModelVersionRequired(
            f"{endpoint} does not say which weights stand behind {model!r}. Answers are kept under a version, so that "
            "new weights are never answered from old calls: set --model-version (a registry version, a commit, a date)."
        )
    return version


def version_of(card: dict[str, Any]) -> str | None:
    """The version that a model's entry of GET /models names, or None."""
    for name in _NAMING_FIELDS:
        if isinstance(card.get(name), str) and card[name].strip():
            return str(card[name]).strip()
    root = card.get("root")
    found = _HASHED_ROOT.search(root) if isinstance(root, str) else None
    return found.group(1) if found else None


def _served(body: bytes) -> list[dict[str, Any]]:
    try:
        data = json.loads(body.decode("utf-8", "replace"))["data"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return []
    return [card for card in data if isinstance(card, dict)] if isinstance(data, list) else []
