"""Who answers for a condition: nobody but the logs, a policy behind an endpoint, or a registered model in process."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from l2a import policy
from l2a.conditions import BUILT_IN, CHAMPION, EXPERT, GREEDY
from l2a.errors import UsageError
from l2a.model_files import WEIGHTS, deciding_files
from l2a.progress import say
from l2a.registry import Registry, Version
from l2a.settings import EvaluateSettings, Settings
from l2a.settings.llm import LLMSettings
from l2a.tables.warehouse import Warehouse
from spark_jobs.calls import Paid
from spark_jobs.llm_policy import LLMPolicy, Reads, llm_policy, spoken
from spark_jobs.model_policy import InProcess, in_process, said


def asked_of(condition: str, llm: LLMSettings, given: Mapping[str, Any]) -> LLMSettings:
    """The engine's settings for a condition's policy; without endpoints, it is asked in process.

    given: the command's own options (`llm_given`), which `llm` holds too. What the settings name as model and version
    is the judge, which must never answer for a policy: without options, a policy is served under its condition's name
    at `policy_endpoints`. Where those are not set, the judge's endpoints are asked for a policy that options name.
    Raises `UsageError` for options that nobody is there to be asked by.
    """
    named = {name: given.get(name) for name in ("endpoints", "model", "model_version")}
    model, version = named["model"] or condition, named["model_version"]
    there = llm.endpoints
    if not named["endpoints"]:
        there = llm.policy_endpoints or (llm.endpoints if named["model"] or version else ())
    if not there and (named["model"] or version):
        raise UsageError(
            "--model and --model-version name what is served, and no endpoint is set: give --endpoint URL, or set "
            "[llm] policy_endpoints; without these options a registered model is asked in this process"
        )
    return llm.model_copy(update={"endpoints": there, "model": model, "model_version": version})


def registry_of(settings: Settings, *, served: bool) -> Registry | None:
    """Where trained models are registered; None: nowhere, and endpoints answer for whatever they serve."""
    try:
        return Registry.open(settings)
    except UsageError:
        if not served:
            raise
        return None


def answerer(
    condition: str, settings: EvaluateSettings, llm: LLMSettings, registry: Registry | None, *, greedy: bool
) -> LLMPolicy | InProcess | None:
    """Who answers for a condition; None: a built-in one does. Raises `UsageError` where nobody does."""
    if condition in BUILT_IN:
        if greedy:
            raise UsageError(f"--greedy: the built-in condition {condition} draws no tokens")
        return None
    if condition.endswith(GREEDY):
        raise UsageError(f"condition {condition}: give --condition {condition.removesuffix(GREEDY)} --greedy")
    version = registry.named(condition) if registry is not None else None
    if llm.endpoints:
        model = llm_policy(settings, llm, greedy=greedy)
        if registry is None or version is None:
            return model
        if model.model_version == version.model_version:
            return dataclasses.replace(model, reads=_reads(registry, version))
        if llm.model_version:
            say(f"rollout {condition}: asked of {llm.model}, version {llm.model_version}, not of {version.title}")
            return model
        raise UsageError(
            f"the endpoints serve {llm.model} in version {model.model_version}, which is not {version.title}: "
            f"`l2a serve {condition}` serves that; without endpoints it is asked in this process; --model-version "
            f"{model.model_version} asks what is served, and calls it {condition}"
        )
    if registry is not None and version is not None:
        return in_process(registry, version, settings, greedy=greedy)
    trained = (registry.conditions() if registry is not None else []) or ["none"]
    if condition == CHAMPION:
        raise UsageError(f"there is no champion yet: `l2a promote CONDITION` makes one (of: {', '.join(trained)})")
    raise UsageError(
        f"condition {condition} is none of the built-in ones ({', '.join(BUILT_IN)}), and no model is registered"
        f" under that name (there are: {', '.join(trained)}): train it (`l2a train METHOD --condition {condition}`), or"
        " give --endpoint URL (and --model NAME) of a policy that is served"
    )


def _reads(registry: Registry, version: Version) -> Reads:
    files = (path for path in deciding_files(registry.fetch(version)) if path.suffix not in WEIGHTS)
    return Reads(tuple((path.name, path.read_bytes()) for path in files), version.max_length, version.stop_rule)


@contextmanager
def answers_of(
    warehouse: Warehouse,
    condition: str,
    model: LLMPolicy | InProcess | None,
    wanted: DataFrame,
    turns: DataFrame,
    samples: int,
) -> Iterator[tuple[DataFrame, Paid]]:
    """Per turn and sample: session_id, turn, dialogue_version, sample, text, error, model_version, request_id."""
    no_call = F.lit(None).cast("string")
    if isinstance(model, LLMPolicy):
        with spoken(warehouse, model, wanted) as found:
            yield found
    elif isinstance(model, InProcess):
        with said(warehouse, model, wanted) as answers:
            yield answers.withColumn("request_id", no_call), Paid()
    elif condition == EXPERT:
        yield policy.expert(wanted).withColumn("request_id", no_call), Paid()
    else:
        drawn = policy.random(wanted, turns.where("split = 'train'"), samples)
        yield drawn.withColumn("request_id", no_call), Paid()
