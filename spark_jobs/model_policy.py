"""A registered policy inside Spark's workers: its files travel as a broadcast, a worker process loads them once.

For models that are small beside a worker's memory. A larger one is served (`l2a serve`) and asked at its endpoint.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from l2a.errors import EnvironmentProblem, UsageError
from l2a.llm.prompts import VERSION
from l2a.model_files import deciding_files
from l2a.registry import ADAPTER, Registry
from l2a.registry import Version as ModelVersion
from l2a.settings import EvaluateSettings
from l2a.tables.warehouse import Warehouse
from spark_jobs.judging import Batches, each, messages_of

if TYPE_CHECKING:
    from l2a.policy_model import Answer, ModelPolicy, PolicyContext

MOST_BYTES = 1 << 30
"""Files of a model that is asked in process; every worker process holds it once."""
_AT_ONCE = 512
"""Contexts that are answered together; of these, batches of one length are made."""
_TASKS_A_CORE = 4
"""So that progress shows, and no core waits for long at the end."""
_KEY = "session_id string, turn int, dialogue_version string"
Files = tuple[tuple[str, bytes], ...]
"""Paths below a folder, and contents."""


@dataclass(frozen=True)
class InProcess:
    """Which registered model answers in process, and how it samples."""

    version: ModelVersion
    folder: Path
    base: Path | None
    samples: int
    temperature: float
    max_tokens: int

    @property
    def model_version(self) -> str:
        return self.version.model_version

    def address(self) -> tuple[object, ...]:
        """All that the rollouts depend on beside the turns."""
        return (
            "in process, cut as in training",
            self.model_version,
            self.version.max_length,
            self.version.stop_rule,
            VERSION,
            self.samples,
            self.temperature,
            self.max_tokens,
        )


def in_process(registry: Registry, version: ModelVersion, settings: EvaluateSettings, *, greedy: bool) -> InProcess:
    """The policy of a registered version. Raises UsageError where it is too large, or its base is not on this machine;
    EnvironmentProblem where its files are gone or damaged.
    """
    folder, base = registry.fetch(version), None
    instead = f"serve it (`l2a serve {version.condition}`) and give `--endpoint URL --model {version.condition}`"
    if version.kind == ADAPTER:
        base = Path(version.base or "")
        if not version.base or not base.is_dir():
            raise UsageError(f"{version.title} is an adapter on {version.base}, no folder of this machine: {instead}")
    size = sum(path.stat().st_size for part in (folder, base) if part is not None for path in deciding_files(part))
    if size > MOST_BYTES:
        raise UsageError(
            f"{version.title} has {size / 1e9:,.1f} GB, more than the {MOST_BYTES / 1e9:,.1f} GB that every Spark "
            f"worker can be asked to load: {instead}"
        )
    return InProcess(
        version,
        folder,
        base,
        samples=1 if greedy else settings.samples,
        temperature=0.0 if greedy else settings.temperature,
        max_tokens=settings.rollout_max_tokens,
    )


@contextmanager
def said(warehouse: Warehouse, policy: InProcess, turns: DataFrame) -> Iterator[DataFrame]:
    """The policy's answers, a row per turn and sample: key, sample, text and error (one null), model_version."""
    context = warehouse.spark.sparkContext
    files = {"model": _read(policy.folder)} | ({} if policy.base is None else {"base": _read(policy.base)})
    shipped = context.broadcast(files)

    def run(batches: Batches) -> Batches:
        model = _loaded(shipped, policy)
        for batch in batches:
            rows = batch.to_pylist()
            for start in range(0, len(rows), _AT_ONCE):
                yield _answered(model, policy, rows[start : start + _AT_ONCE])

    # By content, not by chance: the same dialogues are answered in the same batches.
    spread = (
        turns.withColumn("context", F.slice("messages", F.lit(1), F.col("context_end")))
        .select("session_id", "turn", "dialogue_version", "context", "domain", "goal")
        .repartition(context.defaultParallelism * _TASKS_A_CORE, "session_id")
        .sortWithinPartitions("session_id", "turn")
    )
    try:
        answers = spread.mapInArrow(run, f"{_KEY}, sample int, text string, error string")
        yield answers.withColumn("model_version", F.lit(policy.model_version))
    finally:
        shipped.unpersist()


def _read(folder: Path) -> Files:
    return tuple((path.name, path.read_bytes()) for path in deciding_files(folder))


_in_this_worker: dict[tuple[object, ...], ModelPolicy] = {}


def _loaded(shipped: Any, policy: InProcess) -> ModelPolicy:
    """The model, loaded once a worker process; one at a time."""
    # The same weights may be registered twice, to be asked in two ways.
    key = (policy.model_version, policy.version.max_length, policy.version.stop_rule, policy.base)
    if key not in _in_this_worker:
        import torch

        from l2a.policy_model import ModelPolicy

        torch.set_num_threads(1)  # Spark has a worker for every core
        _in_this_worker.clear()
        with tempfile.TemporaryDirectory(prefix="l2a-policy-") as root:
            for part, files in shipped.value.items():
                (Path(root) / part).mkdir()
                for name, content in files:
                    (Path(root) / part / name).write_bytes(content)
            _in_this_worker[key] = ModelPolicy(
                Path(root) / "model",
                model_version=policy.model_version,
                max_length=policy.version.max_length,
                stop_rule=policy.version.stop_rule,
                base=Path(root) / "base" if policy.base is not None else None,
            )
    return _in_this_worker[key]


def _answered(model: ModelPolicy, policy: InProcess, rows: list[dict[str, Any]]) -> pa.RecordBatch:
    from l2a.policy_model import PolicyContext

    contexts = [
        PolicyContext(row["session_id"], row["turn"], messages_of(row["context"]), row["goal"], row["domain"])
        for row in rows
    ]

    def answer(some: Sequence[PolicyContext]) -> list[list[Answer]]:
        return model.answer(some, samples=policy.samples, temperature=policy.temperature, max_tokens=policy.max_tokens)

    made = []
    for row, answers in zip(rows, each(answer, contexts, (EnvironmentProblem,)), strict=True):
        key = {name: row[name] for name in ("session_id", "turn", "dialogue_version")}
        for sample in range(policy.samples):
            failed = isinstance(answers, Exception)
            text = None if isinstance(answers, Exception) else answers[sample].text
            made.append({**key, "sample": sample, "text": text, "error": f"policy: {answers}" if failed else None})
    return pa.RecordBatch.from_pylist(made, schema=_ANSWERS)


_ANSWERS = pa.schema(
    [
        ("session_id", pa.string()),
        ("turn", pa.int32()),
        ("dialogue_version", pa.string()),
        ("sample", pa.int32()),
        ("text", pa.string()),
        ("error", pa.string()),
    ]
)
