"""A request's address depends on what the answer depends on, and on nothing else."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_asking import SCHEMA, request

from l2a.llm.errors import RequestInvalid
from l2a.llm.request import ChatRequest, canonical_json

texts = st.text(st.characters(), max_size=30)  # every code point, lone surrogates included
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
requests = st.builds(
    ChatRequest,
    model=st.text(min_size=1).filter(str.strip),
    model_version=st.text(min_size=1).filter(str.strip),
    messages=st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": texts}), min_size=1, max_size=3),
    parameters=st.dictionaries(st.text(max_size=8).map("p_{}".format), values, max_size=3),
    response_schema=st.none() | st.just(SCHEMA),
    sample=st.integers(0, 9),
    session_id=st.text(max_size=5),
    turn=st.integers(0, 9),
)


@given(requests)
def test_a_request_survives_its_way_through_spark(made: ChatRequest) -> None:
    read = ChatRequest.from_json(made.to_json())
    assert read.request_id == made.request_id
    assert (read.session_id, read.turn) == (made.session_id, made.turn)
    assert made.to_json().isascii()


@given(requests)
def test_routing_is_not_in_the_address(made: ChatRequest) -> None:
    assert dataclasses.replace(made, session_id="other", turn=99).request_id == made.request_id


@given(requests)
def test_everything_the_answer_depends_on_is_in_the_address(made: ChatRequest) -> None:
    others = [
        dataclasses.replace(made, model=made.model + "x"),
        dataclasses.replace(made, model_version=made.model_version + "x"),
        dataclasses.replace(made, messages=[*made.messages, {"role": "user", "content": ""}]),
        dataclasses.replace(made, parameters={**made.parameters, "temperature": 0.123}),
        dataclasses.replace(made, response_schema={"type": "null"}),
        dataclasses.replace(made, sample=made.sample + 1),
    ]
    assert len({made.request_id, *(other.request_id for other in others)}) == 7


@given(requests)
def test_the_body_can_always_be_sent(made: ChatRequest) -> None:
    sent = json.loads(made.body().decode("utf-8"))
    assert sent["model"] == made.model.encode("utf-8", "replace").decode()
    assert len(sent["messages"]) == len(made.messages)


def test_the_address_is_the_same_in_every_process_and_release() -> None:
    assert request("hello").request_id == "575b5a172d95001530ec6b8722744d52"


def test_one_value_has_one_address_however_it_is_written() -> None:
    one = request(parameters={"temperature": 1, "top_p": 0.5})
    other = request(parameters={"top_p": 0.5, "temperature": 1.0})
    assert one.request_id == other.request_id
    assert canonical_json({"b": (1.0, True), "a": "é"}) == '{"a":"\\u00e9","b":[1,true]}'


@pytest.mark.parametrize("changes", [{"model_version": ""}, {"model_version": " \n"}, {"model": ""}, {"messages": []}])
def test_what_has_no_sound_address_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(RequestInvalid, match=r"model_version|no model|no messages"):
        request(**changes)


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(RequestInvalid):
        _ = request(parameters={"temperature": math.nan}).request_id
    with pytest.raises(RequestInvalid):
        ChatRequest.from_json('{"model": 1}')
    with pytest.raises(RequestInvalid):
        request(parameters={"stream": True})


def test_samples_of_one_prompt_draw_differently_and_repeatably() -> None:
    seeds = [json.loads(request(parameters={"temperature": 1}, sample=sample).body())["seed"] for sample in (0, 1, 0)]
    assert seeds[0] == seeds[2] != seeds[1]
    assert "seed" not in json.loads(request(parameters={"temperature": 0}).body())
    assert json.loads(request(parameters={"seed": 7}).body())["seed"] == 7
