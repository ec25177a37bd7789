"""The chaos endpoint's routes.

POST /v1/chat/completions     GET /v1/models     GET /health     GET /metrics (vLLM's names)
POST /chaos/mode {"mode": "hang"}     GET /chaos/log (what was served)     GET /chaos/served (request: times served)
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from l2a.llm.chaos.capacity import Capacity, Full, PrefixCache, tokens
from l2a.llm.chaos.hostile import bodies
from l2a.llm.chaos.plan import PASSING, ChaosSettings, Fault, Mode, draw, fault_of
from l2a.llm.chaos.record import Record
from l2a.llm.chaos.responder import Responder
from l2a.llm.chaos.rules import pipeline_rules

FOREVER = 3600.0


class ChaosServer:
    """One chaos endpoint. `app` is served by aiohttp.web; `record` and `mode` may be used from the same process."""

    def __init__(self, settings: ChaosSettings, responder: Responder | None = None) -> None:
        self.settings = settings
        self.mode = Mode.NORMAL
        self.record = Record(settings.log_file)
        self.capacity = Capacity(settings)
        self._cache = PrefixCache(settings.block_tokens, settings.cache_blocks)
        self._respond = responder or pipeline_rules()
        self._hostile = bodies()
        self._released = asyncio.Event()
        self.app = web.Application(client_max_size=64 << 20)
        self.app.add_routes(
            [
                web.post("/v1/chat/completions", self._completions),
                web.get("/v1/models", self._models),
                web.get("/health", self._health),
                web.get("/metrics", self._metrics),
                web.post("/chaos/mode", self._set_mode),
                web.get("/chaos/log", self._log),
                web.get("/chaos/served", self._served),
            ]
        )
        self.app.on_shutdown.append(self._release)

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        address = request.headers.get("X-Request-Id") or hashlib.sha256(raw).hexdigest()[:32]
        attempt = self.record.tries[address]
        self.record.tries[address] += 1
        if (early := await self._by_mode(request)) is not None:
            return early
        try:
            body = json.loads(raw)
            prompt = json.dumps(body["messages"], ensure_ascii=False).encode("utf-8", "replace")
        except (ValueError, RecursionError, LookupError, TypeError):
            return self._error(400, "The body is not a chat completion request", "BadRequestError")
        if body.get("model") != self.settings.model:
            return self._error(404, f"The model `{body.get('model')}` does not exist.", "NotFoundError")
        fault = fault_of(self.settings, address, attempt)
        if (failed := await self._by_fault(request, fault, prompt)) is not None:
            return failed
        try:
            async with self.capacity.slot():
                return await self._work(request, body, prompt, fault, address)
        except Full:
            return self._rate_limited()

    async def _by_mode(self, request: web.Request) -> web.StreamResponse | None:
        """The answer that the present mode gives to everybody, if it does."""
        key = self.settings.api_key
        if self.mode is Mode.WRONG_KEY or (key is not None and request.headers.get("Authorization") != f"Bearer {key}"):
            # Real gateways are as careless as this: the error quotes the key it was given.
            return self._error(401, f"Incorrect API key: {request.headers.get('Authorization')}", "AuthenticationError")
        if self.mode is Mode.DOWN:
            return self._hang_up(request)
        if self.mode is Mode.HANG:
            return await self._hang(request)
        if self.mode is Mode.OVERLOADED:
            return self._error(503, "The server is overloaded", "ServiceUnavailableError")
        if self.mode is Mode.UNKNOWN_MODEL:
            return self._error(404, f"The model `{self.settings.model}` does not exist.", "NotFoundError")
        return None

    async def _by_fault(self, request: web.Request, fault: Fault | None, prompt: bytes) -> web.StreamResponse | None:
        """The failure that needs no work, if this request meets one."""
        if fault is not None:
            self.record.outcomes[fault] += 1
        if fault is Fault.RATE_LIMIT:
            return self._rate_limited()
        if fault is Fault.SERVER_ERROR:
            return self._error(500, "Internal server error", "InternalServerError")
        if fault is Fault.OVERLOADED:
            return self._error(503, "The server is overloaded", "ServiceUnavailableError")
        if fault is Fault.BAD_REQUEST:
            return self._error(400, "This request cannot be served", "BadRequestError")
        if fault is Fault.HANG:
            return await self._hang(request)
        if fault is Fault.DROP:
            return self._hang_up(request)
        if fault is Fault.TOO_LONG or tokens(prompt) > self.settings.max_model_len:
            most = self.settings.max_model_len
            return self._error(
                400,
                f"This model's maximum context length is {most} tokens. However, you requested "
                f"{max(tokens(prompt), most + 1)} tokens in the messages. Please reduce the length of the messages.",
                "BadRequestError",
            )
        if fault is Fault.HOSTILE:
            names = sorted(self._hostile)
            name = names[int(draw(self.settings.seed, prompt.decode("utf-8", "replace"), "hostile") * len(names))]
            body, headers = self._hostile[name]
            return web.Response(body=body, headers={"Content-Type": "application/json"} | headers)
        return None

    async def _work(
        self, request: web.Request, body: dict[str, Any], prompt: bytes, fault: Fault | None, address: str
    ) -> web.StreamResponse:
        """The call's time is taken, and an answer sent."""
        content: str | None = self._respond(body)
        refusal = None
        if fault is Fault.BROKEN_JSON:
            content = '{"cut off in the mid'
        elif fault is Fault.WRONG_SCHEMA:
            content = '{"unexpected": ["form"]}'
        elif fault is Fault.EMPTY:
            content = " \n"
        elif fault is Fault.REFUSAL:
            content, refusal = None, "I cannot help with that."
        cached = self._cache.look_up(prompt)
        prompt_tokens, completion_tokens = tokens(prompt), tokens((content or "").encode())
        await self.capacity.work(prompt_tokens - cached, completion_tokens)
        if self.mode is Mode.SLOW:
            await asyncio.sleep(self.settings.slow_seconds)
        answer = {
            "id": f"chatcmpl-{address}",
            "object": "chat.completion",
            "model": self.settings.model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": content, "refusal": refusal},
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
                "prompt_tokens_details": {"cached_tokens": cached},
            },
        }

        def served() -> None:
            if fault is None or fault in PASSING:
                self.record.serve(address, prompt_tokens, cached, completion_tokens)
                self.record.outcomes["served"] += 1

        return await self._send(request, json.dumps(answer).encode(), fault, served)

    async def _send(
        self, request: web.Request, answer: bytes, fault: Fault | None, served: Callable[[], None]
    ) -> web.StreamResponse:
        """Sends it, in the way that the fault asks for; says `served` if somebody still listens to its last piece."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = len(answer)
        try:
            await response.prepare(request)
            if fault is Fault.CUT:
                await response.write(answer[: len(answer) // 2])
                self._hang_up(request)
                return response
            pieces = 10 if fault is Fault.SLOW_BODY else 1
            step = -(-len(answer) // pieces)
            for start in range(0, len(answer), step):
                if pieces > 1:
                    await asyncio.sleep(self.settings.slow_seconds / pieces)
                last = start + step >= len(answer)
                # Before it is sent, so that whoever has the answer finds it in the record.
                if last and request.transport is not None and not request.transport.is_closing():
                    served()
                await response.write(answer[start : start + step])
            await response.write_eof()
        except ConnectionError:
            pass  # whoever asked has left; the answer is nobody's
        return response

    def _hang_up(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)

    async def _hang(self, request: web.Request) -> web.StreamResponse:
        """Says nothing until the client leaves, or the server is shut down."""
        waited = 0.0
        while waited < FOREVER and not self._released.is_set():
            if request.transport is None or request.transport.is_closing():
                break
            await asyncio.sleep(0.2)
            waited += 0.2
        return self._hang_up(request)

    def _rate_limited(self) -> web.Response:
        seconds = self.settings.retry_after_seconds
        return self._error(429, "Too many requests", "RateLimitError", {"Retry-After": f"{seconds:.1f}"})

    def _error(self, status: int, message: str, kind: str, headers: dict[str, str] | None = None) -> web.Response:
        self.record.outcomes[str(status)] += 1
        error = {"object": "error", "message": message, "type": kind, "code": status}
        return web.json_response({"error": error}, status=status, headers=headers)

    async def _models(self, request: web.Request) -> web.Response:
        card = {
            "id": self.settings.model,
            "object": "model",
            "owned_by": "l2a",
            "max_model_len": self.settings.max_model_len,
        }
        if self.settings.model_version is not None:
            card["model_version"] = self.settings.model_version
        return web.json_response({"object": "list", "data": [card]})

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _metrics(self, request: web.Request) -> web.Response:
        record = self.record
        lines = {
            "vllm:prompt_tokens_total": record.prompt_tokens,
            "vllm:generation_tokens_total": record.completion_tokens,
            "vllm:prefix_cache_queries_total": record.prompt_tokens,
            "vllm:prefix_cache_hits_total": record.cached_tokens,
            "vllm:num_requests_running": self.capacity.working,
            "vllm:num_requests_waiting": self.capacity.queued,
        }
        label = f'{{model_name="{self.settings.model}"}}'
        return web.Response(text="".join(f"{name}{label} {value}\n" for name, value in lines.items()))

    async def _set_mode(self, request: web.Request) -> web.Response:
        try:
            self.mode = Mode((await request.json())["mode"])
        except (ValueError, LookupError, TypeError):
            return self._error(400, f"mode is one of {', '.join(Mode)}", "BadRequestError")
        return web.json_response({"mode": self.mode})

    async def _log(self, request: web.Request) -> web.Response:
        return web.json_response(self.record.summary() | {"most_at_once": self.capacity.most_at_once})

    async def _served(self, request: web.Request) -> web.Response:
        return web.json_response(dict(self.record.served))

    async def _release(self, app: web.Application) -> None:
        self._released.set()
