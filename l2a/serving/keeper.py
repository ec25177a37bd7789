"""Runs a server for somebody, and ends it and all its processes when that somebody ends, however that comes about.

    python -m l2a.serving.keeper COMMAND...

Standard input is a pipe whose other end the starter holds: it closes when the starter wants the server stopped, and
also when the starter was killed and could say nothing. Then the server gets a SIGTERM and, in the end, the whole
process group a SIGKILL: a server of several processes that share gigabytes must not outlive a test run or a terminal.
The keeper has to be the leader of its group, and ends with it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 20.0
"""From SIGTERM to SIGKILL."""


def main(command: list[str]) -> None:
    if os.getpgrp() != os.getpid():
        raise SystemExit("the keeper kills its whole process group, so it has to be started as the leader of one")
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.terminate())
    threading.Thread(target=_stop_when_told, args=(server,), daemon=True).start()
    print(f"the server ended with exit code {server.wait()}", flush=True)
    os.killpg(0, signal.SIGKILL)  # what the server left behind, and the keeper


def _stop_when_told(server: subprocess.Popen[bytes]) -> None:
    sys.stdin.buffer.read()
    server.terminate()
    try:
        server.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
