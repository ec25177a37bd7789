"""A served model answers, its version is known, and nothing of it is left behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import environment, words
from fake_vllm import install

from l2a.errors import EnvironmentProblem, UsageError
from l2a.llm.versions import resolve_model_version
from l2a.serving import process
from l2a.serving.process import serving
from l2a.settings.llm import LLMSettings


@pytest.fixture
def pids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[int]]]:
    """A stand-in for vLLM; the process ids of its two processes once it runs."""
    install(tmp_path / "packages")
    noted = tmp_path / "pids"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.setenv("FAKE_VLLM_PIDS", str(noted))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    yield lambda: [int(pid) for pid in noted.read_text().split()]
    for pid in noted.read_text().split() if noted.exists() else ():
        if running(int(pid)):
            os.kill(int(pid), signal.SIGKILL)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "policy"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def running(pid: int) -> bool:
    """Whether the process does anything still; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids: list[int], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(running, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(running, pids))


def test_it_serves_within_the_block_and_leaves_nothing(pids: Callable[[], list[int]], model: Path) -> None:
    with serving(model, "policy") as server:
        settings = LLMSettings(endpoints=(server.url,), model="policy")
        assert resolve_model_version(settings) == server.model_version, "no client has to be told the version"
        assert all(map(running, pids()))
    assert gone(pids(), 0)
    assert list((model.parents[1] / "tmp").iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["--api-key", "its own"], ["--api-key=its own"]])
def test_a_server_with_a_key_is_asked_with_it(
    pids: Callable[[], list[int]], model: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "of the environment")
    with serving(model, "policy", start_seconds=60, arguments=arguments) as server:
        assert server.model == "policy"


def test_other_weights_are_another_version_and_other_notes_are_not(
    pids: Callable[[], list[int]], model: Path, tmp_path: Path
) -> None:
    def version() -> str:
        with serving(model, "policy") as server:
            return server.model_version

    first = version()
    (model / "README.md").write_text("about the model")
    assert version() == first
    (model / "model.safetensors").write_bytes(b"Weights")
    assert version() != first
    named = model.rename(model.with_name("policy@0123456789abcdef"))
    with serving(named, "policy") as server:
        assert server.model_version == "0123456789abcdef", "a folder that names its version is believed"


def test_processes_that_ignore_a_request_to_end_are_killed(
    pids: Callable[[], list[int]], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_STOP_SECONDS", 1.0)
    with serving(model, "policy", arguments=["--fake", "stubborn"]):
        pass
    assert gone(pids(), 0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_the_process_that_started_it(
    pids: Callable[[], list[int]], model: Path, number: signal.Signals
) -> None:
    command = words("serve", model, "--port", "0", "--name", "policy")
    starter = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    assert starter.stdout is not None
    lines = [starter.stdout.readline().split() for _ in range(3)]
    assert [line[0] for line in lines] == ["endpoint", "model", "model_version"]
    assert all(map(running, pids()))
    starter.send_signal(number)
    said = starter.communicate(timeout=60)[1]
    assert gone(pids())
    if number != signal.SIGKILL:
        assert starter.returncode == 0, said
        assert f"l2a extract --extractor llm --endpoint {lines[0][1]} --model policy" in said
        assert said.splitlines()[-1] == "serve: stopping"


def test_a_server_that_dies_at_the_start_is_an_error_with_its_last_words(
    pids: Callable[[], list[int]], model: Path, tmp_path: Path
) -> None:
    with (
        pytest.raises(EnvironmentProblem, match=r"did not start(.|\n)*no room for the weights"),
        serving(model, "policy", arguments=["--fake", "dies"]),
    ):
        pytest.fail("it never answered")
    (log,) = (tmp_path / "tmp").iterdir()
    assert "no room for the weights" in log.read_text(), "the log is kept"


def test_a_server_that_never_answers_is_given_up(pids: Callable[[], list[int]], model: Path, tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    with (
        pytest.raises(EnvironmentProblem, match="did not answer within 3 s"),
        serving(model, "policy", start_seconds=3, log=log, arguments=["--fake", "never answers"]),
    ):
        pytest.fail("it never answered")
    assert gone(pids(), 0)


def test_a_server_that_dies_later_ends_the_wait_and_takes_its_engine_along(
    pids: Callable[[], list[int]], model: Path
) -> None:
    with (
        pytest.raises(EnvironmentProblem, match=r"ended while it served(.|\n)*engine core died(.|\n)*exit code 3"),
        serving(model, "policy", arguments=["--fake", "dies later"]) as server,
    ):
        server.wait()
    assert gone(pids(), 5)


def test_a_taken_port_is_named_before_anything_starts(pids: Callable[[], list[int]], model: Path) -> None:
    with serving(model, "policy") as server:
        port = int(server.url.split(":")[2].split("/")[0])
        before = pids()
        with pytest.raises(EnvironmentProblem, match=f"port {port}"), serving(model, "other", port=port):
            pytest.fail("two servers on one port")
        assert pids() == before


def test_without_vllm_the_message_says_what_to_install(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentProblem, match=r"\.\[serve-cpu\]"), serving(model, "policy"):
        pytest.fail("nothing to serve with")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the folder of a model, or --tiny"),
        (["--tiny", "FOLDER"], "the folder of a model, or --tiny"),
        (["no/base"], "There is no model folder no/base"),
        (["base"], "base is no folder, and no model is registered as that condition (there are: none)"),
        (["base", "--name", "other"], "a condition is served under its own name"),
        (["ADAPTER"], "merged into its base model"),
        (["FOLDER", "--cache", "elsewhere"], "--cache is where --tiny"),
        (["FOLDER", "--port", "0", "--log", "FOLDER/no/such.log"], "cannot be written"),
        (["--tiny", "--cache", "/proc/nowhere"], "Give a --cache"),
    ],
)
def test_wrong_usage_is_told_at_once(arguments: list[str], said: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    given = [word.replace("FOLDER", str(model)).replace("ADAPTER", str(tmp_path / "adapter")) for word in arguments]
    done = subprocess.run(words("serve", *given), capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == UsageError.exit_code
    assert said in done.stderr


def test_the_keeper_refuses_to_kill_a_group_that_is_not_its_own() -> None:
    command = [sys.executable, "-m", "l2a.serving.keeper", sys.executable, "-c", ""]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "leader" in done.stderr
