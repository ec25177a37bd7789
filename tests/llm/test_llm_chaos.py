"""The chaos endpoint does what it says, the same way each time, so that what is tested against it can be trusted."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from llm_asking import SCHEMA, ask, quick, request

from l2a.llm.chaos.capacity import PrefixCache
from l2a.llm.chaos.plan import PASSING, ChaosSettings, Fault, fault_of
from l2a.llm.chaos.responder import valid_value
from l2a.llm.chaos.running import chaos_endpoint


def test_shares_of_faults_are_as_asked_and_the_same_each_time() -> None:
    settings = ChaosSettings(seed=3, faults={Fault.HANG: 0.1, Fault.RATE_LIMIT: 0.2, Fault.TOO_LONG: 0.05})
    met = [fault_of(settings, str(number), 0) for number in range(20_000)]
    assert met == [fault_of(settings, str(number), 0) for number in range(20_000)]
    assert met != [fault_of(settings.model_copy(update={"seed": 4}), str(number), 0) for number in range(20_000)]
    for fault, share in settings.faults.items():
        assert met.count(fault) / 20_000 == pytest.approx(share, rel=0.15)


@given(st.text(), st.sampled_from(PASSING), st.integers(1, 5))
def test_what_passes_passes_after_so_many_tries(address: str, fault: Fault, tries: int) -> None:
    settings = ChaosSettings(faults={fault: 1.0}, fault_tries=tries)
    met = [fault_of(settings, address, attempt) for attempt in range(tries + 2)]
    assert met[0] is fault
    assert met[tries:] == [None, None]
    assert sorted(met, key=lambda one: one is None) == met, "once it has passed, it stays away"


def test_the_prefix_cache_knows_whole_blocks_from_the_beginning() -> None:
    cache = PrefixCache(block_tokens=4, most_blocks=1000)
    history = bytes(range(160))
    assert cache.look_up(history) == 0
    assert cache.look_up(history + b"what differs") == 40
    assert cache.look_up(b"x" + history) == 0
    assert cache.look_up(history[:80] + b"y" * 80) == 20


SCHEMAS = [
    SCHEMA,
    {"type": "array", "items": SCHEMA, "minItems": 2},
    {"type": "object", "properties": {"score": {"enum": [0, 0.5, 1]}, "n": {"type": "integer", "minimum": 3}},
     "required": ["score", "n"]},
    {"anyOf": [{"type": "null"}, {"type": "string"}]},
    {"type": "string", "minLength": 30, "maxLength": 40},
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS)
def test_answers_fulfil_the_asked_schema(schema: dict[str, object]) -> None:
    assert Draft202012Validator(schema).is_valid(valid_value(schema, "any text"))


def test_the_command_serves_logs_to_a_file_that_survives_it_and_can_be_switched(tmp_path: Path) -> None:
    log = tmp_path / "served.jsonl"
    command = [sys.executable, "-m", "l2a.llm.chaos", "--port", "0", "--log-file", str(log), "--fault", "drop=0.5"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", url)
        rows = ask([request(str(number)) for number in range(50)], quick(url))
        switched = ask_admin(f"{url.removesuffix('/v1')}/chaos/mode", {"mode": "hang"})
        assert switched == {"mode": "hang"}
        assert ask_admin(f"{url.removesuffix('/v1')}/chaos/log", None)["served"] == 50
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    served = [json.loads(line)["request"] for line in log.read_text().splitlines()]
    assert sorted(served) == sorted(row.request_id for row in rows)


def ask_admin(url: str, body: dict[str, str] | None) -> dict[str, object]:
    """A call of an admin route."""

    async def call() -> dict[str, object]:
        async with (
            aiohttp.ClientSession() as session,
            session.request("GET" if body is None else "POST", url, json=body) as response,
        ):
            return await response.json()

    return asyncio.run(call())


def test_metrics_have_vllms_names() -> None:
    with chaos_endpoint() as chaos:
        ask([request("long " * 100, turn=turn) for turn in (1, 2)], quick(chaos.url))

        async def read() -> str:
            url = chaos.url.removesuffix("/v1") + "/metrics"
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                return await response.text()

        text = asyncio.run(read())
    assert re.search(r"^vllm:prefix_cache_hits_total\{.*\} [1-9]", text, re.MULTILINE)
