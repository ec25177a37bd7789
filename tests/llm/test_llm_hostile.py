"""Whatever an endpoint sends: a failed row at worst, and a row that a table can hold."""

from __future__ import annotations

import json
import logging
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_asking import SCHEMA, ask, ask_one, quick, request

from l2a.errors import UsageError
from l2a.llm import errors
from l2a.llm.answer import AnswerRow
from l2a.llm.chaos.hostile import bodies
from l2a.llm.chaos.plan import ChaosSettings, Fault, Mode
from l2a.llm.chaos.running import chaos_endpoint
from l2a.llm.classify import error_of
from l2a.llm.engine import Engine
from l2a.llm.reading import check_reply, read_reply
from l2a.llm.redact import ApiKey
from l2a.llm.sync import answer_batches
from l2a.settings.llm import LLMSettings


def fits_a_table(row: AnswerRow) -> bool:
    """Whether every value is one that Parquet and Spark take."""
    for text in (row.text, row.parsed, row.error, row.finish_reason):
        if text is not None:
            text.encode("utf-8")
    counts = (row.prompt_tokens, row.cached_tokens, row.completion_tokens, row.latency_ms)
    return all(0 <= count < 2**31 for count in counts) and row.cached_tokens <= row.prompt_tokens


@pytest.mark.parametrize("name", sorted(bodies()))
def test_a_hostile_body_is_a_failed_row_at_worst(name: str) -> None:
    with chaos_endpoint(ChaosSettings(faults={Fault.HOSTILE: 1.0})) as chaos:
        chaos.server._hostile = {name: bodies()[name]}
        requests = [request("with schema", response_schema=SCHEMA), request("free text")]
        rows = ask(requests, quick(chaos.url, max_attempts=2))
        assert len(rows) == 2
        for row in rows:
            assert fits_a_table(row)
            if row.ok:
                assert row.text
            else:
                kinds = (errors.TerminalError, errors.MalformedResponse)
                assert issubclass(getattr(errors, row.error_class or ""), kinds)
        address = request("with schema", response_schema=SCHEMA).request_id
        assert [row.ok for row in rows if row.request_id == address] == [False]


def test_a_huge_answer_is_not_read_to_its_end() -> None:
    with chaos_endpoint(ChaosSettings(faults={Fault.HOSTILE: 1.0})) as chaos:
        chaos.server._hostile = {"big": bodies()["ten_megabytes"]}
        row = ask_one(quick(chaos.url, max_answer_bytes=100_000))
        assert (row.error_class, row.attempts) == ("HostileAnswer", 1)
        assert "100,000 bytes" in (row.error or "")


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: json.dumps(text).encode()))
def test_any_bytes_are_read_or_malformed(body: bytes) -> None:
    caught = None
    try:
        read_reply(body)
    except errors.MalformedResponse as error:
        caught = error
    if caught is None:
        assert isinstance(json.loads(body)["choices"][0]["message"], dict)
    else:
        assert caught.text is not None


@given(st.text(st.characters(), max_size=60), st.sampled_from(["stop", "length", "content_filter", None, 3]))
def test_any_content_is_an_answer_or_a_terminal_error(content: str, reason: object) -> None:
    choice = {"message": {"content": content}, "finish_reason": reason}
    reply = read_reply(json.dumps({"choices": [choice], "usage": {"prompt_tokens": True}}).encode())
    for schema in (None, SCHEMA, {"type": "string"}):
        try:
            parsed = check_reply(reply, schema)
        except errors.TerminalError:
            continue
        assert schema is None or json.loads(parsed or "") is not None


@pytest.mark.parametrize(
    "content",
    ['{"value": NaN}', '{"value": "a", "value": "b"}', '{"value": 1}', "{}", "[" * 5000, '{"value": "\\ud800"}',
     '{"value": "x"} or {"value": "y"}', '<think>{"value": "y"}</think>no </think> {"value": "x"} {',
     '```json\n{"value": "x"}\n``` ```{"value": "y"}```', '[{"value": "x"}]',
     '{"value": "x", "other": 1}', "1e999", "9" * 10_000],
)  # fmt: skip
def test_what_is_not_exactly_the_schema_is_unparseable(content: str) -> None:
    reply = read_reply(json.dumps({"choices": [{"message": {"content": content}}]}).encode())
    with pytest.raises(errors.Unparseable):
        check_reply(reply, SCHEMA)


@pytest.mark.parametrize(
    "content",
    ['{"value": "是 🙂"}', '```json\n{"value": "是 🙂"}\n```', ' \n{"value":"是 🙂"}', '\ufeff{"value": "是 🙂"}',
     'Here it is:\n```json\n{"value": "是 🙂"}\n```\nAnything else?', '```json {"value": "是 🙂"} ```',
     '<think>\nLet me see {…}\n</think>\n\n{"value": "是 🙂"}', '{"value": "是 🙂"}\n\nHope that helps!',
     [{"type": "text", "text": '{"value": '}, {"type": "text", "text": '"是 🙂"}'}]],
)  # fmt: skip
def test_structured_answers_are_kept_in_one_form(content: object) -> None:
    reply = read_reply(json.dumps({"choices": [{"message": {"content": content}}]}).encode())
    assert check_reply(reply, SCHEMA) == '{"value":"是 🙂"}'


def test_a_reason_that_no_endpoint_gives_is_not_kept_as_it_came() -> None:
    choice = {"message": {"content": "ok"}, "finish_reason": "Bearer planted-key-8d1f2c"}
    assert read_reply(json.dumps({"choices": [choice]}).encode()).finish_reason == "other"


def test_the_error_text_does_not_quote_the_answer() -> None:
    reply = read_reply(json.dumps({"choices": [{"message": {"content": '{"value": 1, "secret plan": 2}'}}]}).encode())
    with pytest.raises(errors.Unparseable) as caught:
        check_reply(reply, SCHEMA)
    assert "secret plan" not in str(caught.value)


KEY = "planted-key-8d1f2c"


def test_the_key_is_sent_and_found_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("PLANTED_KEY", KEY)
    seen: list[object] = []

    def echoing(body: object) -> str:
        return f"the key is {KEY}"

    with chaos_endpoint(ChaosSettings(api_key=KEY), responder=echoing) as chaos:
        settings = quick(chaos.url, api_key_env="PLANTED_KEY")
        engine = Engine(settings)
        for rows in answer_batches([request()], settings, engine=engine):
            seen += rows
        assert seen[0].text == "the key is [key]"  # type: ignore[attr-defined]
        chaos.switch(Mode.WRONG_KEY)
        with pytest.raises(errors.WrongKey) as caught:
            ask([request()], settings)
        seen += [caught.value, caught.value.__cause__, settings, engine.progress.as_dict()]
        seen += [ApiKey.from_environment("PLANTED_KEY"), settings.model_dump_json(), vars(engine), engine._client.key]
    error = error_of(400, f"Bearer {KEY} sk-abcdefghijkl".encode(), endpoint="http://e", model="m",
                     scrub=ApiKey(KEY).scrub_error)  # fmt: skip
    seen.append(error)
    assert KEY not in repr(seen) + "".join(map(str, seen)) + caplog.text
    assert "sk-abc" not in str(error)
    with pytest.raises(TypeError):
        pickle.dumps(ApiKey(KEY))


def test_a_key_that_is_named_but_missing_or_unsendable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(UsageError, match="NO_SUCH_KEY"):
        Engine(quick("http://127.0.0.1:9", api_key_env="NO_SUCH_KEY"))
    monkeypatch.setenv("ODD_KEY", "new\nline")
    with pytest.raises(UsageError, match="ODD_KEY") as caught:
        Engine(quick("http://127.0.0.1:9", api_key_env="ODD_KEY"))
    assert "line" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://user:pw@host/v1", "http://host/v1?key=x", "host:8000", "ftp://host", "http://", ""]
)
def test_an_endpoint_with_a_secret_or_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        LLMSettings(endpoints=(url,))


def test_endpoints_are_base_urls() -> None:
    given = ("http://a:1", "http://b/v1/", "https://c/openai/v1/chat/completions")
    assert LLMSettings(endpoints=given).endpoints == ("http://a:1/v1", "http://b/v1", "https://c/openai/v1")
