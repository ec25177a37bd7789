"""A package `vllm` that stands in for the real one: the same command line, up in a moment, and of two processes."""

from __future__ import annotations

from pathlib import Path

SERVER = """
import argparse, http.server, json, os, pathlib, signal, subprocess, sys, time

options = argparse.ArgumentParser()
for name in ("model", "served-model-name", "host", "port", "dtype", "kv-cache-memory-bytes", "api-key", "fake"):
    options.add_argument("--" + name)
options.add_argument("--lora-modules", nargs="*", default=[])
given, flags = options.parse_known_args()
assert "--enable-prefix-caching" in flags and "--enable-prompt-tokens-details" in flags, flags
if given.fake == "dies":
    sys.exit("RuntimeError: no room for the weights")
if given.fake == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
# As vLLM's engine: a process of its own with memory that takes a while to free, deaf to its parent's death.
engine = subprocess.Popen([sys.executable, "-c", "import time; held = b'x' * (256 << 20); time.sleep(600)"])
pathlib.Path(os.environ["FAKE_VLLM_PIDS"]).write_text(f"{os.getpid()} {engine.pid}")

class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        key = given.api_key or os.environ.get("VLLM_API_KEY")
        if key and self.headers["Authorization"] != f"Bearer {key}":
            self.send_error(401)
            return
        told = {"id": given.served_model_name, "root": given.model, "offline": os.environ["HF_HUB_OFFLINE"]}
        adapters = [json.loads(module) for module in given.lora_modules]
        cards = [told, *({"id": one["name"], "root": one["path"], "parent": told["id"]} for one in adapters)]
        body = json.dumps({"data": cards, "flags": sys.argv[1:]}, ensure_ascii=False).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if given.fake == "dies later":
            print("the engine core died", flush=True)
            os._exit(3)

if given.fake != "never answers":
    http.server.ThreadingHTTPServer((given.host, int(given.port)), Answers).serve_forever()
time.sleep(600)
"""


def install(folder: Path) -> None:
    """Puts the package where a PYTHONPATH of `folder` finds it first."""
    package = folder / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    (package / "api_server.py").write_text(SERVER, encoding="utf-8")
    for parent in (package, package.parent, package.parent.parent):
        (parent / "__init__.py").touch()
