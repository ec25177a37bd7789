"""Which weights stand behind a served name: the setting says it, or the endpoints do, or nobody does and we refuse.

A model's answers are kept under its version. A guess (the name itself, the folder it was loaded from) would let new
weights be answered from old calls, silently and for good. Of what GET /models tells, only these name weights:
a field `model_version`, `version` or `revision`, and a `root` that holds a commit hash: `.../snapshots/<hash>` as the
Hugging Face cache has it, or `<anything>@<hash>`.

An endpoint that does not answer does not hold the others back: the version is that of those that do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

from l2a.errors import UsageError
from l2a.llm.classify import error_of
from l2a.llm.client import Client
from l2a.llm.errors import MalformedResponse, ModelVersionRequired, NoEndpointLeft, TransientError, UnknownModel
from l2a.settings.llm import LLMSettings

log = logging.getLogger(__name__)

_HASHED_ROOT = re.compile(r"(?:/snapshots/|@)([0-9a-f]{12,64})/?\Z")
_NAMING_FIELDS = ("model_version", "version", "revision")


def resolve_model_version(settings: LLMSettings) -> str:
    """The version to address calls with. Call it outside an event loop.

    Raises ModelVersionRequired where nobody names one or two endpoints differ, UnknownModel where an endpoint does not
    serve the model, UsageError where no model or endpoint is set, NoEndpointLeft where none has answered for
    `endpoint_wait_seconds`, TerminalError where one does not take the question.
    """
    if not settings.model:
        raise UsageError("No model is set. Give --model NAME.")
    if settings.model_version and settings.model_version.strip():
        return settings.model_version.strip()
    if not settings.endpoints:
        raise UsageError("No LLM endpoint is set. Give --endpoint URL.")
    return _the_one(asyncio.run(_ask_all(settings, settings.model)), settings.model)


def resolve_endpoints(settings: LLMSettings) -> tuple[str, tuple[str, ...]]:
    """The version to address calls with, and those of the endpoints that serve the model: each may serve others.

    Raises as `resolve_model_version` does, but UnknownModel only where no endpoint serves the model.
    """
    if not settings.model or len(settings.endpoints) < 2:
        return resolve_model_version(settings), settings.endpoints
    if settings.model_version and settings.model_version.strip():
        # Nobody has to tell the version, so nobody is waited for: what is wrong with an endpoint, its calls tell.
        there = asyncio.run(_ask_to_serve(settings, settings.model))
        if there and (without := set(settings.endpoints) - set(there)):
            log.warning("%s is not asked: it does not list %s now", ", ".join(sorted(without)), settings.model)
        return settings.model_version.strip(), there or settings.endpoints
    versions = asyncio.run(_ask_all(settings, settings.model, each=False))
    return _the_one(versions, settings.model), tuple(versions)


async def _ask_to_serve(settings: LLMSettings, model: str) -> tuple[str, ...]:
    """The endpoints that list the model."""
    async with Client(settings) as client:
        asked = (_card(client, endpoint, model) for endpoint in settings.endpoints)
        told = await asyncio.gather(*asked, return_exceptions=True)
    return tuple(url for url, card in zip(settings.endpoints, told, strict=True) if isinstance(card, dict))


async def _ask_all(settings: LLMSettings, model: str, *, each: bool = True) -> dict[str, str]:
    """The versions by endpoint, of those that answer. each: every endpoint has to serve the model, not only one."""
    loop = asyncio.get_running_loop()
    began, wait = loop.time(), settings.probe_seconds
    versions: dict[str, str] = {}
    waiting = False
    async with Client(settings) as client:
        while True:
            versions, errors = await _ask_once(client, settings, model, each=each)
            said = ", ".join(map(str, errors.values()))
            if versions:
                if errors:
                    log.warning("the model's version is that of the endpoints that answer, without %s", said)
                break
            if not waiting:
                log.warning("no endpoint tells the model's version yet, asking again: %s", said)
                waiting = True
            left = began + settings.endpoint_wait_seconds - loop.time()
            if left <= 0:
                raise NoEndpointLeft(
                    f"None of {', '.join(settings.endpoints)} has told its model's version for "
                    f"{loop.time() - began:.0f} s. Start one, or set --model-version."
                )
            await asyncio.sleep(min(wait, left))
            wait = min(2 * wait, settings.probe_max_seconds)
    return versions


def _the_one(versions: dict[str, str], model: str) -> str:
    if len(set(versions.values())) > 1:
        told = ", ".join(f"{endpoint}: {version}" for endpoint, version in versions.items())
        raise ModelVersionRequired(
            f"The endpoints serve different versions of {model!r} ({told}). Serve one, or ask only those that do."
        )
    return next(iter(versions.values()))


async def _ask_once(
    client: Client, settings: LLMSettings, model: str, *, each: bool
) -> tuple[dict[str, str], dict[str, TransientError]]:
    """By endpoint: the versions, and the errors of those that do not answer. Raises the first error of another kind."""
    asked = (_ask(client, endpoint, model) for endpoint in settings.endpoints)
    told = dict(zip(settings.endpoints, await asyncio.gather(*asked, return_exceptions=True), strict=True))
    if not each:  # those without the model are left out, unless that is all of them
        told = {url: answer for url, answer in told.items() if not isinstance(answer, UnknownModel)} or told
    for answer in told.values():
        if isinstance(answer, BaseException) and not isinstance(answer, TransientError):
            raise answer
    return (
        {endpoint: answer for endpoint, answer in told.items() if isinstance(answer, str)},
        {endpoint: answer for endpoint, answer in told.items() if isinstance(answer, TransientError)},
    )


async def _ask(client: Client, endpoint: str, model: str) -> str:
    version = version_of(await _card(client, endpoint, model))
    if version is None or client.key.scrub(version) != version:  # one that echoes the key would reach tables
        raise ModelVersionRequired(
            f"{endpoint} does not say which weights stand behind {model!r}. Answers are kept under a version, so that "
            "new weights are never answered from old calls: set --model-version (a registry version, a commit, a date)."
        )
    return version


async def _card(client: Client, endpoint: str, model: str) -> dict[str, Any]:
    """The model's entry of GET /models."""
    status, body = await client.get(f"{endpoint}/models")
    if status != 200:
        raise error_of(status, body, endpoint=endpoint, model=model, scrub=client.key.scrub_error)
    served = _served(body, endpoint)
    card = next((card for card in served if card.get("id") == model), None)
    if card is None:
        names = ", ".join(str(card.get("id"))[:80] for card in served[:10]) or "nothing"
        raise UnknownModel(f"{endpoint} does not serve {model!r}; it serves: {client.key.scrub_error(names)}")
    return card


def version_of(card: dict[str, Any]) -> str | None:
    """The version that a model's entry of GET /models names, or None."""
    for name in _NAMING_FIELDS:
        if isinstance(card.get(name), str) and card[name].strip():
            return str(card[name]).strip()
    root = card.get("root")
    found = _HASHED_ROOT.search(root) if isinstance(root, str) else None
    return found.group(1) if found else None


def _served(body: bytes, endpoint: str) -> list[dict[str, Any]]:
    try:
        data = json.loads(body.decode("utf-8", "replace"))["data"]
    except (ValueError, RecursionError, LookupError, TypeError):
        data = None
    if not isinstance(data, list):
        # A gateway's page, or a server that is half up, says nothing about the model.
        raise MalformedResponse(f"{endpoint}/models: the response is no list of models", status=200)
    return [card for card in data if isinstance(card, dict)]
