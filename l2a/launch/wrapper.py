"""Runs a job's command and leaves a note of how it ended.

    python -m l2a.launch.wrapper FOLDER NUMBER LOCK COMMAND...

The leader of the job's process group. It holds the job's lock (a file number that it inherited) and hands it on to the
command, so that the job counts as running while either of them lives. What the command leaves behind ends with it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from l2a.json_file import write_json


def main(folder: Path, number: int, lock: int, command: list[str]) -> None:
    # A request to end is meant for the command, which is in the same group and hears it too: this process stays to say
    # how the command ended.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    write_json(folder / f"start-{number}.json", {"group": os.getpgrp(), "host": socket.gethostname()})
    try:
        code = subprocess.Popen(command, pass_fds=(lock,)).wait()
    except OSError as error:
        print(f"cannot run {command[0]}: {error}", flush=True)
        code = 127
    write_json(folder / f"exit-{number}.json", {"code": code})
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
