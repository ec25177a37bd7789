"""Jobs that commands start elsewhere: here a folder plays the other side, through real processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from l2a.cli import main
from l2a.errors import JobError, UsageError
from l2a.launch.elsewhere import CommandRunner
from l2a.launch.launcher import Launcher, jobs_folder
from l2a.launch.record import State, read_job, write_job
from l2a.settings import LauncherSettings, load

OTHER_SIDE = """
import pathlib, sys
folder, verb, *words = sys.argv[1:]
there = pathlib.Path(folder)
if (there / "down").exists():
    sys.exit("ssh: connect to host gpu: No route to host")
if verb == "submit":
    if (there / "full").exists():
        sys.exit("sbatch: error: AssocGrpSubmitJobsLimit")
    name, command = words
    number = len(list(there.glob("job-*"))) + 1
    (there / f"job-{number}").write_text("PENDING")
    (there / f"name-{name}").write_text(str(number))
    (there / "command").write_text(command)
    if (there / "lost").exists():
        sys.exit(int((there / "lost").read_text()))
    print("Submitted batch job")
    print(number)
elif verb == "status":
    print((there / f"job-{words[0]}").read_text())
elif verb == "cancel":
    job = there / f"job-{words[0]}"
    job.unlink() if (there / "forgets").exists() else job.write_text("CANCELLED+")
elif verb == "logs":
    print("step 1\\nstep 2")
elif verb == "find":
    found = there / f"name-{words[0]}"
    print(found.read_text() if found.exists() else "")
"""


@pytest.fixture
def there(tmp_path: Path) -> Path:
    (tmp_path / "side.py").write_text(OTHER_SIDE)
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


def settings(there: Path, **more: str | None) -> LauncherSettings:
    side = f"{sys.executable} {there.parent / 'side.py'} {there}"
    verbs = {
        "submit": "submit {name} {command}", "status": "status {id}", "cancel": "cancel {id}", "logs": "logs {id}",
        "find": "find {name}",
    }  # fmt: skip
    return LauncherSettings(kind="command", **{verb: f"{side} {words}" for verb, words in verbs.items()} | more)


@pytest.fixture
def jobs(there: Path, tmp_path: Path) -> Launcher:
    return Launcher(tmp_path / "jobs", CommandRunner(settings(there)), max_starts=2)


COMMAND = ["l2a", "train", "grpo", "--condition", "it's $HOME; rm -rf `x`"]


def test_a_job_is_submitted_followed_and_not_submitted_twice(jobs: Launcher, there: Path) -> None:
    assert jobs.submit("j", COMMAND).state is State.RUNNING
    assert jobs.submit("j", COMMAND).starts == 1
    assert jobs.output("j", 1) == "step 2"
    (there / "job-1").write_text("COMPLETED")
    assert jobs.status("j").state is State.FINISHED


def test_the_command_arrives_as_one_word_that_a_remote_shell_reads_back(jobs: Launcher, there: Path) -> None:
    import shlex

    jobs.submit("j", COMMAND)
    assert shlex.split((there / "command").read_text()) == COMMAND


def test_a_job_that_died_there_is_submitted_again_and_a_failed_one_is_not(jobs: Launcher, there: Path) -> None:
    jobs.submit("j", COMMAND)
    (there / "job-1").write_text("NODE_FAIL")
    assert jobs.revive("j").starts == 2
    (there / "job-2").write_text("FAILED")
    assert (jobs.revive("j").state, jobs.status("j").starts) == (State.FAILED, 2)


def test_another_side_that_does_not_answer_is_neither_dead_nor_alive(jobs: Launcher, there: Path) -> None:
    jobs.submit("j", COMMAND)
    (there / "down").touch()
    status = jobs.revive("j")
    assert (status.state, status.starts) == (State.UNKNOWN, 1)
    assert "No route to host" in status.says
    assert jobs.submit("j", COMMAND).starts == 1
    (there / "down").unlink()
    assert jobs.status("j").state is State.RUNNING


def test_a_job_that_the_other_side_does_not_take_is_an_error(jobs: Launcher, there: Path) -> None:
    (there / "down").touch()
    with pytest.raises(JobError, match="was not taken: exit code 1: ssh: connect"):
        jobs.submit("j", COMMAND)


@pytest.fixture
def blind(there: Path, tmp_path: Path) -> Launcher:
    """Without the command `find`, as the settings are unless somebody sets it."""
    return Launcher(tmp_path / "jobs", CommandRunner(settings(there, find=None)), max_starts=2)


def test_a_job_that_was_refused_is_submitted_by_the_next_try(blind: Launcher, there: Path) -> None:
    (there / "down").touch()
    for _ in range(3):  # however often: a refusal is no start
        with pytest.raises(JobError, match="was not taken"):
            blind.submit("j", COMMAND)
    assert blind.status("j").state is State.DIED
    (there / "down").unlink()
    status = blind.submit("j", COMMAND)
    assert (status.state, status.starts) == (State.RUNNING, 1)


def test_a_failed_job_that_was_refused_when_started_again_is_submitted_by_the_next_try(
    blind: Launcher, there: Path
) -> None:
    blind.submit("j", COMMAND)
    (there / "job-1").write_text("FAILED")
    (there / "full").touch()
    with pytest.raises(JobError, match="was not taken"):
        blind.submit("j", COMMAND, again=True)
    (there / "full").unlink()
    assert blind.submit("j", COMMAND).state is State.RUNNING


def test_a_command_that_is_not_there_starts_nothing(there: Path, tmp_path: Path) -> None:
    missing = CommandRunner(settings(there, submit="no-such-sbatch {command}", find=None))
    with pytest.raises(JobError, match="cannot run no-such-sbatch"):
        Launcher(tmp_path / "jobs", missing, max_starts=2).submit("j", COMMAND)
    jobs = Launcher(tmp_path / "jobs", CommandRunner(settings(there)), max_starts=2)
    assert jobs.submit("j", COMMAND).state is State.RUNNING


@pytest.mark.parametrize("code", [255, 124, 137])
def test_a_job_that_may_have_been_taken_is_not_submitted_twice(blind: Launcher, there: Path, code: int) -> None:
    (there / "lost").write_text(str(code))
    with pytest.raises(JobError, match=f"may not have been taken: exit code {code}"):
        blind.submit("j", COMMAND)
    assert blind.submit("j", COMMAND).state is State.UNKNOWN
    assert len(list(there.glob("job-*"))) == 1


def test_a_job_that_was_taken_though_the_command_said_no_is_found(jobs: Launcher, there: Path) -> None:
    (there / "lost").write_text("1")  # sbatch: Socket timed out on send/recv operation
    with pytest.raises(JobError, match="was not taken"):
        jobs.submit("j", COMMAND)
    assert jobs.submit("j", COMMAND).state is State.RUNNING
    assert len(list(there.glob("job-*"))) == 1


def cut_off(jobs: Launcher) -> None:
    """As if the submitter had been killed after the other side took the job and before it noted the id."""
    job = read_job(jobs.folder / "j")
    assert job is not None
    write_job(jobs.folder / "j", job.started(None))


def test_a_submission_that_was_cut_off_is_found_by_name(jobs: Launcher, there: Path) -> None:
    jobs.submit("j", COMMAND)
    cut_off(jobs)
    assert jobs.submit("j", COMMAND).state is State.RUNNING
    assert len(list(there.glob("job-*"))) == 1
    jobs.cancel("j")
    assert (there / "job-1").read_text() == "CANCELLED+"


def test_a_submission_that_was_cut_off_before_it_was_taken_starts_again(jobs: Launcher, there: Path) -> None:
    jobs.submit("j", COMMAND)
    cut_off(jobs)
    (there / "name-j").unlink()
    assert jobs.submit("j", COMMAND).starts == 2


def test_a_cut_off_submission_that_nobody_can_find_starts_no_second_job(blind: Launcher) -> None:
    blind.submit("j", COMMAND)
    cut_off(blind)
    status = blind.submit("j", COMMAND)
    assert (status.state, status.starts) == (State.UNKNOWN, 1)
    assert "find is not set" in status.says


def test_cancelled_means_cancelled(jobs: Launcher, there: Path) -> None:
    jobs.submit("j", COMMAND)
    assert jobs.cancel("j").state is State.CANCELLED
    assert jobs.revive("j").starts == 1


def test_how_a_job_ended_is_known_after_the_other_side_has_forgotten_it(jobs: Launcher, there: Path) -> None:
    (there / "forgets").touch()
    jobs.submit("cancelled", COMMAND, group="retrain")
    assert jobs.cancel("cancelled").state is jobs.status("cancelled").state is State.CANCELLED
    jobs.submit("finished", COMMAND, group="retrain")
    (there / "job-1").write_text("COMPLETED")
    assert jobs.revive("finished").state is State.FINISHED
    (there / "job-1").unlink()
    assert jobs.status("finished").state is State.FINISHED
    assert jobs.submit("next", COMMAND, group="retrain").state is State.RUNNING
    assert jobs.submit("cancelled", COMMAND, again=True).starts == 2


def test_a_job_that_ended_well_before_it_could_be_cancelled_has_finished(jobs: Launcher, there: Path) -> None:
    jobs.submit("j", COMMAND)
    (there / "down").touch()
    with pytest.raises(JobError, match="was not stopped"):
        jobs.cancel("j")
    (there / "down").unlink()
    (there / "job-1").write_text("COMPLETED")
    assert jobs.status("j").state is State.FINISHED


def test_a_job_whose_machine_is_gone_for_good_can_be_given_up_and_started_again(jobs: Launcher, there: Path) -> None:
    jobs.submit("j", COMMAND)
    (there / "down").touch()
    with pytest.raises(JobError, match="was not stopped"):
        jobs.cancel("j")
    assert jobs.status("j").state is State.UNKNOWN
    assert jobs.cancel("j", gone=True).state is State.CANCELLED
    (there / "down").unlink()
    assert jobs.submit("j", COMMAND).state is State.CANCELLED
    assert jobs.submit("j", COMMAND, again=True).state is State.RUNNING
    assert jobs.status("j").starts == 2


@pytest.mark.parametrize("wrong", ["ssh {host} {command}", "ssh 'gpu {command}", "ssh {0}"])
def test_a_template_that_cannot_be_filled_is_refused_before_anything_runs(there: Path, wrong: str) -> None:
    with pytest.raises(UsageError, match="placeholders are"):
        CommandRunner(settings(there, submit=wrong))


def test_a_launcher_without_its_commands_is_refused() -> None:
    with pytest.raises(UsageError, match="needs the commands status, cancel"):
        CommandRunner(LauncherSettings(kind="command", submit="sbatch"))


def test_jobs_lie_beside_the_checkpoints_and_not_in_an_object_store() -> None:
    assert jobs_folder(load(None, {"warehouse": "/w"})) == Path("/w/_training/jobs")
    assert jobs_folder(load(None, {"warehouse": "s3://b/w", "train": {"folder": "/t"}})) == Path("/t/jobs")
    elsewhere = {"kind": "command", "submit": "a", "status": "b", "cancel": "c"}
    assert jobs_folder(load(None, {"warehouse": "/w", "launcher": elsewhere})) == Path("/w/_training/jobs-elsewhere")
    with pytest.raises(UsageError, match=r"set \[train\] folder"):
        jobs_folder(load(None, {"warehouse": "s3://b/w"}))


def test_a_job_on_the_command_line_is_submitted_listed_and_asked_for(tmp_path: Path) -> None:
    import time

    def job(*words: str) -> str:
        done = CliRunner().invoke(main, ["job", words[0], "--warehouse", str(tmp_path), *words[1:]])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert job("submit", "j", "--", "sh", "-c", "echo said").strip() in ("running", "finished")
    for _ in range(100):
        if job("status", "j").strip() == "finished":
            break
        time.sleep(0.05)
    assert job("logs", "j") == "said\n"
    assert job("list").startswith("j\tfinished\t1\t")
    job("forget", "j")
    assert job("list") == ""
