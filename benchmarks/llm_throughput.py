"""The engine's throughput against a bare asyncio client (P1), and over four endpoints against one (P10).

    python -m benchmarks.llm_throughput [--calls 3000] [--rounds 3] [--endpoint URL --model NAME]

Ratios in one run, on chaos endpoints of fixed capacity in processes of their own, or P1 on an endpoint that is there:
`l2a serve --tiny` starts a vLLM on the CPU. Both sides of each ratio are printed, with the processor time that a call
takes on the client's side. P1: both sides have the same ceiling of calls in flight and read requests of the same form;
the bare client only posts them and reads the answers' JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import aiohttp

from l2a.llm.request import ChatRequest
from l2a.llm.sync import answer_batches
from l2a.settings.llm import LLMSettings

IN_FLIGHT = 64
LATENCY = 0.1


CHAOS = "chaos"
MAX_TOKENS = 16


def requests(model: str, count: int, salt: str) -> Iterator[ChatRequest]:
    """Requests of about 1,000 tokens, with short answers, in dialogues of ten turns."""
    history = "the beginning that turns of a dialogue share " * 80
    parameters = {"temperature": 0, "max_tokens": MAX_TOKENS}
    for number in range(count):
        dialogue = f"{salt}-{number // 10}"
        messages = [{"role": "system", "content": f"{dialogue} {history}"}, {"role": "user", "content": str(number)}]
        yield ChatRequest(model, "1", messages, parameters, session_id=dialogue, turn=number % 10)


@contextmanager
def endpoint(calls_per_second: float, latency: float = LATENCY) -> Iterator[str]:
    """A chaos endpoint in a process of its own; its base URL."""
    command = [sys.executable, "-m", "l2a.llm.chaos", "--port", "0", "--calls-per-second", str(calls_per_second)]
    process = subprocess.Popen([*command, "--latency-seconds", str(latency)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def bare(url: str, count: int, salt: str, model: str = CHAOS) -> None:
    """As many calls in flight as the ceiling allows, nothing else."""

    async def run() -> None:
        source = requests(model, count, salt)
        connector, headers = aiohttp.TCPConnector(limit=0), {"Content-Type": "application/json"}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

            async def worker() -> None:
                for request in source:
                    async with session.post(f"{url}/chat/completions", data=request.body()) as response:
                        json.loads(await response.read())["choices"][0]["message"]["content"]

            await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))

    asyncio.run(run())


def engine(urls: list[str], count: int, salt: str, model: str = CHAOS) -> None:
    """The same calls through the engine."""
    settings = LLMSettings(endpoints=tuple(urls), model=model, model_version="1", max_in_flight=IN_FLIGHT)
    rows = [row for batch in answer_batches(requests(model, count, salt), settings) for row in batch]
    assert len(rows) == count
    assert all(row.ok for row in rows)


def measure(name: str, count: int, work: Callable[..., None], *arguments: object) -> float:
    """Calls per second; prints them with the processor time per call."""
    wall, processor = time.perf_counter(), time.process_time()
    work(*arguments)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"  {name:24} {count / wall:7.1f} calls/s   {1000 * processor / count:5.2f} ms processor time a call")
    return count / wall


def report(name: str, ratios: list[float], wanted: float) -> None:
    """Prints each round's ratio and their median."""
    rounds = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    print(f"{name} ratio: {rounds}; median {statistics.median(ratios):.3f} (at least {wanted})")


def clients(url: str, model: str, count: int, rounds: int) -> list[float]:
    """Calls per second of the engine over those of the bare client."""
    ratios = []
    for number in range(rounds):
        one = measure("bare asyncio client", count, bare, url, count, f"bare{number}", model)
        other = measure("engine", count, engine, [url], count, f"engine{number}", model)
        ratios.append(other / one)
    return ratios


def four_to_one(count: int, rounds: int) -> list[float]:
    """Calls per second over four endpoints to those over one of them."""
    ratios = []
    with endpoint(40) as a, endpoint(40) as b, endpoint(40) as c, endpoint(40) as d:
        for number in range(rounds):
            one = measure("one endpoint", count, engine, [a], count, f"one{number}")
            four = measure("four endpoints", 4 * count, engine, [a, b, c, d], 4 * count, f"four{number}")
            ratios.append(four / one)
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--endpoint")
    parser.add_argument("--model", default=CHAOS)
    arguments = parser.parse_args()
    count, rounds = arguments.calls, arguments.rounds
    if arguments.endpoint:
        print(f"P1: {arguments.endpoint}, {IN_FLIGHT} in flight at most, {count} calls")
        report("P1", clients(arguments.endpoint, arguments.model, count, rounds), 0.90)
        return
    print(f"P1: endpoint of 200 calls/s, {LATENCY} s latency, {IN_FLIGHT} in flight at most, {count} calls")
    with endpoint(200) as url:
        report("P1", clients(url, CHAOS, count, rounds), 0.95)
    print(f"P10: endpoints of 40 calls/s each, {count // 4} calls to one, {count} to four")
    report("P10", four_to_one(count // 4, rounds), 3.8)


if __name__ == "__main__":
    main()
