"""What trainings leave on the disk and nobody needs any more: checkpoints of finished stages, folders of old jobs.

<train.folder>/stages/<name>-<digest>/checkpoints     needed until <name>-<digest>/model is there
               jobs/<name>                            see l2a.launch
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from l2a.errors import UsageError
from l2a.launch import jobs_folder, launcher
from l2a.settings import Settings

DAY_SECONDS = 86_400.0


def clean_trainings(settings: Settings, *, now: float | None = None) -> list[str]:
    """Removes what is older than the setting; says what, one line each.

    Kept: models; checkpoints of a stage that has no model yet while any job is under way, since it may be that job's.
    now: seconds since 1970; None: the clock's. A warehouse without a folder for trainings has nothing to clean.
    """
    try:
        root = jobs_folder(settings).parent
    except UsageError:
        return []
    before = (time.time() if now is None else now) - settings.maintenance.retain_checkpoints_days * DAY_SECONDS
    jobs = launcher(settings)
    removed = []
    busy = False
    for name in jobs.names():
        if not jobs.status(name).state.over:
            busy = True
        elif _newest(jobs.folder / name) < before:
            jobs.forget(name)
            removed.append(f"job {name}")
    for stage in sorted(root.glob("stages/*")):
        finished = (stage / "model").is_dir()
        old = stage / "checkpoints" if finished else stage
        if old.is_dir() and (finished or not busy) and _newest(old) < before:
            shutil.rmtree(old)
            removed.append(f"{'checkpoints of' if finished else 'unfinished'} {stage.name}")
    return removed


def _newest(folder: Path) -> float:
    """When anything in a folder was last written, seconds since 1970."""
    times = [folder.stat().st_mtime]
    for path in folder.rglob("*"):
        try:
            times.append(path.stat().st_mtime)
        except FileNotFoundError:
            continue
    return max(times)
