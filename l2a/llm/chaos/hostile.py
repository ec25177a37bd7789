"""Bodies that no client should trust. Each is sent with status 200."""

from __future__ import annotations

import gzip
import json

MEGABYTE = 1 << 20


def _with_content(content: str, **usage: object) -> bytes:
    message = {"role": "assistant", "content": content}
    return json.dumps({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}).encode()


def bodies() -> dict[str, tuple[bytes, dict[str, str]]]:
    """Name, body and extra headers of each hostile response."""
    good = _with_content("fine")
    return {
        "ten_megabytes": (_with_content("x" * (10 * MEGABYTE)), {}),
        "invalid_utf8": (good.replace(b"fine", b"\xff\xfe\xc3("), {}),
        "control_characters": (good.replace(b"fine", bytes(range(1, 32))), {}),
        "nul_escapes": (good.replace(b"fine", rb"\u0000\u0000"), {}),
        "half_surrogate": (good.replace(b"fine", rb"\ud800"), {}),
        "half_surrogate_in_value": (_with_content('{"value": "\\ud800"}'), {}),
        "nan": (_with_content('{"value": NaN}', prompt_tokens=float("nan")), {}),
        "infinity": (_with_content('{"value": 1e999}', prompt_tokens=float("inf")), {}),
        "deep_envelope": (b"[" * 200_000, {}),
        "deep_content": (_with_content("[" * 100_000 + "]" * 100_000), {}),
        "same_key_twice": (_with_content('{"value": "a", "value": "b"}'), {}),
        "huge_integer": (_with_content('{"value": ' + "9" * 10_000 + "}"), {}),
        "odd_usage": (_with_content("{}", prompt_tokens=-5, completion_tokens="many", prompt_tokens_details=[1]), {}),
        "no_choices": (b'{"choices": []}', {}),
        "content_is_a_list": (b'{"choices": [{"message": {"content": [1, 2]}}]}', {}),
        "html": (b"<html><body>502 Bad Gateway</body></html>", {"Content-Type": "text/html"}),
        "nothing": (b"", {}),
        "compressed": (gzip.compress(b" " * (10 * MEGABYTE)), {"Content-Encoding": "gzip"}),
    }
