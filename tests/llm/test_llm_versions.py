"""Which weights stand behind a name: said by the setting, or by the endpoint beyond doubt, or refused."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from llm_asking import quick

from l2a.llm.chaos.plan import ChaosSettings
from l2a.llm.chaos.running import chaos_endpoint
from l2a.llm.errors import ModelVersionRequired, NoEndpointLeft, UnknownModel, WrongKey
from l2a.llm.versions import resolve_model_version, version_of
from l2a.settings import EvaluateSettings
from spark_jobs.llm_policy import llm_policy

DEAD = "http://127.0.0.1:9"
COMMIT = "5ede1c97bbab6ce5cda5812749b4c0bdf79b18dd"


@pytest.mark.parametrize(
    ("card", "version"),
    [
        ({"id": "policy", "model_version": "7"}, "7"),
        ({"id": "policy", "revision": "abc"}, "abc"),
        ({"id": "policy", "root": f"/cache/models--Qwen/snapshots/{COMMIT}"}, COMMIT),
        ({"id": "policy", "root": f"/models/policy@{COMMIT[:16]}"}, COMMIT[:16]),
        ({"id": "policy", "root": "/models/policy"}, None),
        ({"id": "policy", "root": "policy"}, None),
        ({"id": "policy", "root": "Qwen/Qwen2.5-7B-Instruct"}, None),
        ({"id": "policy", "created": 1763800000}, None),
        ({"id": "policy", "model_version": 7, "root": ["x"]}, None),
    ],
)
def test_only_what_names_weights_is_a_version(card: dict[str, object], version: str | None) -> None:
    assert version_of(card) == version


def test_the_setting_wins_and_asks_nobody() -> None:
    assert resolve_model_version(quick("http://127.0.0.1:9", model_version="mine")) == "mine"


def test_a_version_that_echoes_the_key_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", "planted-key-8d1f2c")
    settings = ChaosSettings(model_version="of planted-key-8d1f2c", api_key="planted-key-8d1f2c")
    with chaos_endpoint(settings) as one, pytest.raises(ModelVersionRequired) as caught:
        resolve_model_version(quick(one.url, model_version=None, api_key_env="PLANTED_KEY"))
    assert "planted" not in str(caught.value)


def test_the_endpoint_is_asked_and_a_guess_refused() -> None:
    with (
        chaos_endpoint(ChaosSettings(model_version="v5")) as one,
        chaos_endpoint(ChaosSettings(model_version="v6")) as two,
    ):
        assert resolve_model_version(quick(one.url, model_version=None)) == "v5"
        with pytest.raises(ModelVersionRequired, match=r"v5.*v6"):
            resolve_model_version(quick(one.url, two.url, model_version=None))
        with pytest.raises(UnknownModel, match="chaos"):
            resolve_model_version(quick(one.url, model="other", model_version=None))
    silent_settings = ChaosSettings(model_version=None)
    with chaos_endpoint(silent_settings) as silent, pytest.raises(ModelVersionRequired, match="--model-version"):
        resolve_model_version(quick(silent.url, model_version=None))


@contextmanager
def models_endpoint(*answers: tuple[int, bytes]) -> Iterator[str]:
    """An endpoint that gives these answers to GET /models, the last one for good."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


CARD = json.dumps({"data": [{"id": "chaos", "model_version": "v5"}]}).encode()


@pytest.mark.parametrize("answer", [None, (503, b""), (200, b"<html>maintenance</html>")])
def test_the_version_is_that_of_the_endpoints_that_answer(
    answer: tuple[int, bytes] | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with models_endpoint((200, CARD)) as up, models_endpoint(answer or (200, CARD)) as other:
        down = DEAD if answer is None else other
        assert resolve_model_version(quick(up, down, model_version=None)) == "v5"
    (said,) = (record.getMessage() for record in caplog.records)
    assert down in said
    assert up not in said


def test_an_endpoint_that_is_not_up_yet_is_waited_for() -> None:
    with models_endpoint((503, b""), (503, b""), (200, CARD)) as url:
        assert resolve_model_version(quick(url, model_version=None)) == "v5"


def test_with_no_endpoint_there_the_step_stops_with_that_word() -> None:
    with pytest.raises(NoEndpointLeft, match=r"127\.0\.0\.1:9"):
        resolve_model_version(quick(DEAD, model_version=None, endpoint_wait_seconds=0.3))


@pytest.mark.parametrize("told", [None, "v5"])
def test_a_policy_is_asked_of_those_endpoints_that_serve_it(told: str | None) -> None:
    other = json.dumps({"data": [{"id": "another policy", "model_version": "v9"}]}).encode()
    with models_endpoint((200, CARD)) as mine, models_endpoint((200, other)) as theirs:
        found = llm_policy(EvaluateSettings(), quick(theirs, DEAD, mine, model_version=told), greedy=False)
        assert (found.model_version, found.llm.endpoints) == ("v5", (f"{mine}/v1",))
        with pytest.raises(UnknownModel, match="it serves"):
            llm_policy(EvaluateSettings(), quick(mine, theirs, model="nobody's", model_version=None), greedy=False)
        # The server that is down may be the one.
        away = quick(theirs, DEAD, model_version=None, endpoint_wait_seconds=0.3)
        with pytest.raises(NoEndpointLeft):
            llm_policy(EvaluateSettings(), away, greedy=False)


@pytest.mark.parametrize(
    ("answer", "kind"), [((401, b""), WrongKey), ((404, b""), UnknownModel), ((200, b'{"data": []}'), UnknownModel)]
)
def test_a_wrong_key_or_model_is_not_waited_for(answer: tuple[int, bytes], kind: type[Exception]) -> None:
    with models_endpoint(answer) as url, pytest.raises(kind):
        resolve_model_version(quick(DEAD, url, model_version=None, endpoint_wait_seconds=60))
