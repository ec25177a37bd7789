"""The LLM grader as an object: for whoever needs grades at once, such as a reward. Jobs over tables use Spark instead.

Answers are kept in a small database beside the training, by the address of the request, so that a training which is
killed and goes on, or meets a question again, does not pay for it twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from l2a.judge.protocols import Judgement, Question
from l2a.llm.prompts import Form, grader_name
from l2a.llm.prompts.grading import grading_request, read_judgement
from l2a.llm.sync import Asker
from l2a.llm.versions import resolve_model_version
from l2a.settings.llm import LLMSettings

BUSY_SECONDS = 60.0
"""How long one process of a training waits while others keep their answers."""


class HttpGrader:
    """Implements `l2a.judge.protocols.Grader` over OpenAI-compatible endpoints. Temperature 0.

    A question whose call fails has a judgement with an error. With no endpoint left, `grade` waits as long as the
    settings say, then raises JobStopped.
    """

    def __init__(
        self, settings: LLMSettings, form: Form, answers: Path, sample: int = 0, asker: Asker | None = None
    ) -> None:
        """answers: the database file. sample: tells repeated askings of the same question apart. asker: of a job that
        asks others, too.

        Raises what `resolve_model_version` raises.
        """
        self._sample = sample
        self._asker = asker or Asker(settings)
        self._form: Form = form
        self._version = resolve_model_version(settings)
        self._model = settings.model or ""
        answers.parent.mkdir(parents=True, exist_ok=True)
        self._kept = sqlite3.connect(answers, timeout=BUSY_SECONDS, check_same_thread=False)
        self._kept.execute("CREATE TABLE IF NOT EXISTS answers (request_id TEXT PRIMARY KEY, parsed TEXT NOT NULL)")
        self.paid = 0
        """Distinct requests that were asked so far."""

    @property
    def name(self) -> str:
        """As in `grades.grader`."""
        return grader_name(self._model, self._version, self._form)

    def grade(self, questions: Sequence[Question]) -> list[Judgement]:
        """One judgement per question, in the same order; equal questions are asked once."""
        requests = [
            replace(
                grading_request(question, model=self._model, model_version=self._version, form=self._form),
                sample=self._sample,
            )
            for question in questions
        ]
        wanted = {request.request_id: request for request in requests}
        parsed = self._known(list(wanted))
        errors: dict[str, str] = {}
        missing = [request for name, request in wanted.items() if name not in parsed]
        self.paid += len(missing)
        for batch in self._asker.batches(missing):
            for row in batch:
                if row.ok and row.parsed is not None:
                    parsed[row.request_id] = row.parsed
                else:
                    errors[row.request_id] = f"grader: {row.error_class}: {row.error}"
            with self._kept:
                self._kept.executemany(
                    "INSERT OR IGNORE INTO answers VALUES (?, ?)",
                    [(row.request_id, row.parsed) for row in batch if row.ok and row.parsed is not None],
                )
        return [
            read_judgement(parsed[request.request_id], len(question.information))
            if request.request_id in parsed
            else Judgement(None, None, errors.get(request.request_id, "grader: no answer"))
            for request, question in zip(requests, questions, strict=True)
        ]

    def close(self) -> None:
        """Closes the database of answers."""
        self._kept.close()

    def _known(self, names: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(names), 500):
            part = names[start : start + 500]
            marks = ",".join("?" * len(part))
            found.update(self._kept.execute(f"SELECT * FROM answers WHERE request_id IN ({marks})", part).fetchall())
        return found
