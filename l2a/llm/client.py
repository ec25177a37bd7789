"""One try over HTTP: POST /chat/completions, read within limits, and an answer or an error of the tree.

aiohttp rather than httpx: at 128 calls in flight the latter's pool took 19 ms of processor time a call where this takes
0.4 ms (two cores), and the cores are shared with Spark.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import aiohttp

from l2a.llm.classify import error_of
from l2a.llm.errors import CallError, ConnectionFailed, HostileAnswer, TimedOut
from l2a.llm.redact import ApiKey
from l2a.settings.llm import LLMSettings

KEEP_ALIVE_SECONDS = 4.0
"""Below the 5 s after which uvicorn (vLLM's server) closes an idle connection: it must not close one that we use."""
MOST_OF_AN_ERROR = 64 << 10
"""Bytes of an error's body that are read."""


class Client:
    """An HTTP client for all endpoints of a run. Use as `async with`."""

    def __init__(self, settings: LLMSettings, key: ApiKey | None = None) -> None:
        self._settings = settings
        self.key = key if key is not None else ApiKey.from_environment(settings.api_key_env)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Client:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            # The limits on time are ours; identity: a compressed answer could be any size once unpacked.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_timeout_seconds),
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity", **self.key.headers()},
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(self, endpoint: str, body: bytes, *, request_id: str, model: str, limit: asyncio.Timeout) -> bytes:
        """The body of the 200 response. The request_id goes along as X-Request-Id, for the endpoint's log.

        `limit` is entered here; moving its deadline from outside ends the try. Raises CallError or JobStopped.
        """
        try:
            async with limit:
                return await self._post(endpoint, body, request_id, model)
        except TimeoutError as error:
            # Which clock ran out tells them apart: ours, or the connector's.
            if limit.expired():
                raise TimedOut(f"{endpoint} gave no whole answer in time") from error
            raise ConnectionFailed(f"{endpoint}: no connection in time") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The text of these errors may quote headers; their type says enough.
            raise ConnectionFailed(f"{endpoint}: {type(error).__name__}") from error

    async def get(self, url: str) -> tuple[int, bytes]:
        """Status and body of a GET, within twice the time to connect. Raises CallError."""
        return await self._short("GET", url, None)

    async def post(self, url: str, body: Mapping[str, Any]) -> tuple[int, bytes]:
        """Status and body of a POST that is no chat completion, in the same time. Raises CallError."""
        return await self._short("POST", url, json.dumps(body).encode())

    async def _short(self, method: str, url: str, data: bytes | None) -> tuple[int, bytes]:
        assert self._session is not None, "use the client as `async with`"
        try:
            async with asyncio.timeout(self._settings.connect_timeout_seconds * 2):
                async with self._session.request(method, url, data=data, allow_redirects=False) as response:
                    return response.status, await self._read(response, self._settings.max_answer_bytes)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise ConnectionFailed(f"{url}: {type(error).__name__}") from error

    async def _post(self, endpoint: str, body: bytes, request_id: str, model: str) -> bytes:
        assert self._session is not None, "use the client as `async with`"
        url, headers = f"{endpoint}/chat/completions", {"X-Request-Id": request_id}
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            if response.status == 200:
                return await self._read(response, self._settings.max_answer_bytes)
            try:
                said = await self._read(response, MOST_OF_AN_ERROR)
            except CallError:
                said = b""
            raise error_of(
                response.status, said, endpoint=endpoint, model=model,
                scrub=self.key.scrub_error, retry_after=response.headers.get("Retry-After"),
            )  # fmt: skip

    async def _read(self, response: aiohttp.ClientResponse, most: int) -> bytes:
        """The body, never holding more than `most` bytes of it. Raises HostileAnswer and drops the connection."""
        status = response.status
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            response.close()
            raise HostileAnswer("The response is compressed, which was not asked for", status=status)
        pieces, size = [], 0
        async for piece in response.content.iter_any():
            size += len(piece)
            if size > most:
                response.close()
                raise HostileAnswer(f"The response is larger than {most:,} bytes", status=status)
            pieces.append(piece)
        return b"".join(pieces)
