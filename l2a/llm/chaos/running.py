"""Ways to run the chaos endpoint inside a process: in an event loop, or in a thread of its own (tests, benchmarks).

with chaos_endpoint(ChaosSettings(faults={Fault.HANG: 0.1})) as chaos:
    LLMSettings(endpoints=[chaos.url], ...)
    chaos.server.record.summary()
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from aiohttp import web

from l2a.llm.chaos.plan import ChaosSettings, Mode
from l2a.llm.chaos.responder import Responder
from l2a.llm.chaos.server import ChaosServer


@asynccontextmanager
async def serving(server: ChaosServer, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serves while the block runs; gives the base URL. Port 0 takes a free one."""
    runner = web.AppRunner(server.app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class RunningChaos:
    """A chaos endpoint in a thread of this process."""

    url: str
    server: ChaosServer

    def switch(self, mode: Mode) -> None:
        """As POST /chaos/mode does."""
        self.server.mode = mode


@contextmanager
def chaos_endpoint(
    settings: ChaosSettings | None = None, responder: Responder | None = None, port: int = 0
) -> Iterator[RunningChaos]:
    """A chaos endpoint for the length of a `with` block."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    made: list[RunningChaos] = []
    failed: list[BaseException] = []
    stop = asyncio.Event()

    async def serve() -> None:
        try:
            server = ChaosServer(settings or ChaosSettings(), responder)
            async with serving(server, port=port) as url:
                made.append(RunningChaos(url, server))
                started.set()
                await stop.wait()
        except BaseException as error:
            failed.append(error)
            started.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="l2a-chaos", daemon=True)
    thread.start()
    started.wait()
    try:
        if failed:
            raise failed[0]
        yield made[0]
    finally:
        if loop.is_running():
            loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
