"""A job on this machine outlives its starter, is found again, and leaves no process: whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from l2a.errors import JobError, JobRefused, UsageError
from l2a.json_file import read_json, write_json
from l2a.launch.launcher import Launcher
from l2a.launch.local import LocalRunner
from l2a.launch.record import State, read_job

LONG = ["sleep", "60"]


@pytest.fixture
def jobs(tmp_path: Path) -> Launcher:
    return Launcher(tmp_path / "jobs", LocalRunner(), max_starts=3)


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path: Path) -> object:
    yield
    for started in tmp_path.glob("jobs/*/start-*.json"):
        found = read_json(started)
        assert found is not None
        try:
            os.killpg(found["group"], signal.SIGKILL)
        except ProcessLookupError:
            continue


def until(true: Callable[[], bool]) -> None:
    for _ in range(300):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it never came true")


def group(jobs: Launcher, name: str, start: int = 1) -> int:
    path = jobs.folder / name / f"start-{start}.json"
    until(path.exists)
    found = read_json(path)
    assert found is not None
    return int(found["group"])


def alive(process_group: int) -> bool:
    """Whether a process of the group runs; one that has ended and waits for its parent to ask does not."""
    return any(int(words[2]) == process_group and words[0] != "Z" for words in map(stat, processes()))


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_job_that_ends_well_is_finished_and_not_started_again(jobs: Launcher) -> None:
    command = python("print('你好 👋')")
    assert jobs.submit("j", command).state is State.RUNNING
    until(lambda: jobs.status("j").state is State.FINISHED)
    assert jobs.output("j") == "你好 👋"
    assert jobs.submit("j", command).starts == 1
    assert jobs.submit("j", command, again=True).starts == 2


def test_a_running_job_is_found_not_started_twice(jobs: Launcher) -> None:
    jobs.submit("j", LONG)
    assert jobs.submit("j", LONG).starts == 1
    assert jobs.revive("j").starts == 1
    with pytest.raises(JobRefused, match="another command"):
        jobs.submit("j", ["sleep", "61"])


def test_a_failed_job_says_so_and_waits_for_a_person(jobs: Launcher) -> None:
    jobs.submit("j", python("raise SystemExit(3)"))
    until(lambda: jobs.status("j").state is State.FAILED)
    assert "exit code 3" in jobs.status("j").says
    assert jobs.revive("j").starts == 1
    assert jobs.submit("j", python("raise SystemExit(0)")).starts == 2  # another command is another try


def test_a_command_that_is_not_there_fails(jobs: Launcher) -> None:
    jobs.submit("j", ["no-such-program"])
    until(lambda: jobs.status("j").state is State.FAILED)
    assert "cannot run no-such-program" in jobs.output("j")


def test_a_killed_job_is_started_again_as_often_as_allowed(jobs: Launcher, tmp_path: Path) -> None:
    for start in (1, 2, 3):
        jobs.submit("j", LONG)
        assert jobs.status("j").starts == start
        os.killpg(group(jobs, "j", start), signal.SIGKILL)
        until(lambda: jobs.status("j").state is not State.RUNNING)
    status = jobs.submit("j", LONG)
    assert (status.state, status.starts) == (State.FAILED, 3)
    assert "died 3 times" in status.says
    assert jobs.submit("j", LONG, again=True).starts == 4


def test_a_training_killed_by_a_signal_has_died_and_goes_on(jobs: Launcher, tmp_path: Path) -> None:
    mark = tmp_path / "checkpoint"
    code = f"import os, pathlib; p = pathlib.Path({str(mark)!r})\nif not p.exists(): p.touch(); os.kill(os.getpid(), 9)"
    jobs.submit("j", python(code))
    until(lambda: jobs.status("j").state is State.DIED)
    assert jobs.revive("j").starts == 2
    until(lambda: jobs.status("j").state is State.FINISHED)


def test_a_command_whose_wrapper_was_killed_still_counts_as_running(jobs: Launcher) -> None:
    jobs.submit("j", LONG)
    wrapper = group(jobs, "j")
    until(lambda: len(children(wrapper)) == 1)
    os.kill(wrapper, signal.SIGKILL)
    until(lambda: stat(wrapper)[0] == "Z")
    assert jobs.submit("j", LONG).state is State.RUNNING
    assert jobs.status("j").starts == 1
    assert jobs.cancel("j").state is State.CANCELLED


def test_the_starter_may_be_killed(jobs: Launcher) -> None:
    code = (
        "import os, pathlib; from l2a.launch.launcher import Launcher; from l2a.launch.local import LocalRunner;"
        f"Launcher(pathlib.Path({str(jobs.folder)!r}), LocalRunner(), 3).submit('j', {LONG!r}); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run(python(code), check=False).returncode == -9
    assert jobs.submit("j", LONG).starts == 1
    assert jobs.status("j").state is State.RUNNING


def test_two_starters_at_once_start_one_job(jobs: Launcher) -> None:
    code = (
        "import pathlib; from l2a.launch.launcher import Launcher; from l2a.launch.local import LocalRunner;"
        f"print(Launcher(pathlib.Path({str(jobs.folder)!r}), LocalRunner(), 3).submit('j', {LONG!r}).starts)"
    )
    both = [subprocess.Popen(python(code), stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in both] == ["1", "1"]


def test_cancelling_ends_all_processes_and_is_final(jobs: Launcher) -> None:
    jobs.submit("j", ["sh", "-c", "sleep 60 & sleep 61"])
    processes = group(jobs, "j")
    assert jobs.cancel("j").state is State.CANCELLED
    until(lambda: not alive(processes))
    assert jobs.revive("j").state is State.CANCELLED
    assert jobs.submit("j", ["sh", "-c", "sleep 60 & sleep 61"]).state is State.CANCELLED


def test_a_job_that_died_and_is_cancelled_is_not_started_again(jobs: Launcher) -> None:
    jobs.submit("j", LONG)
    os.killpg(group(jobs, "j"), signal.SIGKILL)
    until(lambda: jobs.status("j").state is State.DIED)
    assert jobs.cancel("j").state is State.CANCELLED
    assert jobs.revive("j").starts == 1


def test_a_job_of_another_machine_is_not_ended_from_here_whoever_has_its_number(jobs: Launcher) -> None:
    jobs.submit("j", LONG)
    processes = group(jobs, "j")
    # As seen from another machine that shares the folder: the number is somebody else's there.
    write_json(jobs.folder / "j" / "start-1.json", {"group": processes, "host": "gpu-7"})
    with pytest.raises(JobError, match=r"the job j runs on gpu-7, .*run `l2a job cancel j` on gpu-7"):
        jobs.cancel("j")
    with pytest.raises(JobError, match="runs on gpu-7"):
        jobs.interrupt("j")
    assert alive(processes)


def test_what_a_finished_job_leaves_behind_ends_with_it(jobs: Launcher) -> None:
    jobs.submit("j", ["sh", "-c", "sleep 60 &"])
    processes = group(jobs, "j")
    until(lambda: jobs.status("j").state is State.FINISHED)
    until(lambda: not alive(processes))


def test_a_job_that_ignores_the_polite_word_is_ended_all_the_same(
    jobs: Launcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("l2a.launch.local.GRACE_SECONDS", 0.5)
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    jobs.submit("j", python(code))
    until(lambda: jobs.output("j") == "deaf")
    assert jobs.cancel("j").state is State.CANCELLED


def test_of_a_group_one_runs_and_the_other_is_refused_by_name(jobs: Launcher) -> None:
    jobs.submit("first", LONG, group="retrain")
    with pytest.raises(JobRefused, match="second is not started: first is running, and only one retrain"):
        jobs.submit("second", LONG, group="retrain")
    jobs.submit("beside", LONG)
    jobs.cancel("first")
    assert jobs.submit("second", LONG, group="retrain").state is State.RUNNING


def test_a_job_that_is_over_can_be_forgotten_a_running_one_not(jobs: Launcher) -> None:
    jobs.submit("j", LONG)
    with pytest.raises(JobError, match="j is running"):
        jobs.forget("j")
    jobs.cancel("j")
    jobs.forget("j")
    assert jobs.names() == []
    with pytest.raises(JobError, match="there is no job j"):
        jobs.status("j")


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 101, "作业"])
def test_a_name_that_is_no_folder_is_refused(jobs: Launcher, name: str) -> None:
    with pytest.raises(UsageError, match="a job is named by"):
        jobs.submit(name, LONG)


def test_a_record_that_is_damaged_is_said_to_be(jobs: Launcher) -> None:
    jobs.submit("j", ["true"])
    (jobs.folder / "j" / "job.json").write_text("{")
    with pytest.raises(JobError, match="is not a job that this l2a wrote"):
        read_job(jobs.folder / "j")


def children(process: int) -> list[str]:
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()


def processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def stat(process: int) -> list[str]:
    """State, parent, group, ... of a process; of one that is gone, an empty one."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["Z", "0", "0"]
