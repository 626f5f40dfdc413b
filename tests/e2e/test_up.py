"""The commands that start and stop the service, as a user runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest

from support.http_server import answering
from support.processes import all_ended, processes_of
from support.running_service import ROOT, Service, command, environment_for, running

UNREACHABLE = "http://127.0.0.1:9"  # the discard port: nothing listens there


def assert_refused(done: subprocess.CompletedProcess[str], *fragments: str) -> None:
    """A failure with one clear line and no traceback."""
    text = done.stdout + done.stderr
    assert done.returncode == 1, text
    assert "Traceback" not in text
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("up: ")
    assert all(fragment in last for fragment in fragments), last


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment without weights, whose store has `shapes`."""
    return environment_for(tmp_path, YOLOV5_WEIGHTS_DIR="", YOLOV5_WEIGHTS_URL=UNREACHABLE)


def test_without_weights_and_network_it_serves_shapes_and_reports_why(environment: dict[str, str]) -> None:
    with running(["yolov5s", "yolov5m"], environment) as service:
        assert "None of yolov5s, yolov5m is available. Serving `shapes` instead" in service.output
        assert f"yolov5s: NOT SERVED: {UNREACHABLE}/yolov5s.pt" in service.output
        curl = next(line.strip() for line in service.output.splitlines() if line.strip().startswith("curl "))
        done = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        assert answer["model"] == "shapes"
        assert answer["detections"]

        state = (Path(environment["RUN_DIR"]) / "server.json").read_text()
        processes = {process.pid for process in processes_of(environment)}
        again = command("up", "--no-ui", "--detach", "--models", "shapes", environment=environment)
        assert_refused(again, "already runs", "models shapes", "scripts/down")
        assert again.stdout == ""  # refused at once, before it provides the archives
        assert (Path(environment["RUN_DIR"]) / "server.json").read_text() == state
        assert {process.pid for process in processes_of(environment)} == processes

        temporary = json.loads(state)["temporary"]
        assert Path(temporary).is_dir()
        assert len(processes_of(environment)) >= 2
    assert not Path(temporary).exists()
    assert processes_of(environment) == []
    assert command("down", environment=environment).stdout == "Nothing is running.\n"


def test_a_second_start_keeps_the_archives_of_the_first(environment: dict[str, str]) -> None:
    store = Path(environment["MODEL_STORE"])
    with running(["shapes"], environment):
        built = (store / "shapes.mar").stat().st_mtime_ns
    with running(["shapes"], environment):
        assert (store / "shapes.mar").stat().st_mtime_ns == built
        assert [path.name for path in store.iterdir()] == ["shapes.mar"]


def test_ctrl_c_stops_everything(environment: dict[str, str]) -> None:
    command_line = [sys.executable, "-m", "server.commands.up", "--no-ui", "--models", "shapes"]
    with subprocess.Popen(command_line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as foreground:
        assert foreground.stdout is not None
        lines = iter(foreground.stdout.readline, "")
        assert any("Ctrl-C stops it" in line for line in lines)
        foreground.send_signal(signal.SIGINT)
        assert foreground.wait(60) == 0
    assert processes_of(environment) == []


def test_nothing_remains_of_a_server_that_was_killed(environment: dict[str, str]) -> None:
    assert command("up", "--no-ui", "--detach", "--models", "shapes", environment=environment).returncode == 0
    state = json.loads((Path(environment["RUN_DIR"]) / "server.json").read_text())
    psutil.Process(state["pid"]).kill()
    assert all_ended(environment)  # a worker ends when its server has ended
    assert command("down", environment=environment).stdout == "Nothing is running.\n"
    assert not Path(state["temporary"]).exists()
    assert not (Path(environment["RUN_DIR"]) / "key_file.json").exists()


@pytest.mark.parametrize(("ended_by", "status"), [("down", 0), ("kill", 1)])
def test_up_in_the_foreground_distinguishes_a_stop_from_a_crash(
    environment: dict[str, str], ended_by: str, status: int
) -> None:
    command_line = [sys.executable, "-m", "server.commands.up", "--no-ui", "--models", "shapes"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command_line, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True) as foreground:
        assert foreground.stdout is not None
        assert any("Ctrl-C stops it" in line for line in iter(foreground.stdout.readline, ""))
        if ended_by == "down":
            assert command("down", environment=environment).returncode == 0
        else:
            state = json.loads((Path(environment["RUN_DIR"]) / "server.json").read_text())
            psutil.Process(state["pid"]).kill()
        _, errors = foreground.communicate(timeout=60)
    assert foreground.returncode == status, errors
    assert ("TorchServe ended by itself" in errors) == (ended_by == "kill")
    assert "Traceback" not in errors


@pytest.mark.parametrize("variable", ["INFERENCE_PORT", "MANAGEMENT_PORT", "METRICS_PORT"])
def test_a_port_in_use_is_named(environment: dict[str, str], variable: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(environment[variable])))
        taken.listen()
        done = command("up", "--no-ui", "--detach", "--models", "shapes", environment=environment)
    assert_refused(done, f"port {environment[variable]} is in use", variable)


@pytest.mark.parametrize("port", ["http", "70000", "-1"])
def test_a_port_that_is_none_is_named(environment: dict[str, str], port: str) -> None:
    done = command("up", "--models", "shapes", environment={**environment, "METRICS_PORT": port})
    assert_refused(done, "METRICS_PORT", repr(port), "1 to 65535")


def test_a_worker_that_dies_while_loading_is_named_with_its_reason(environment: dict[str, str]) -> None:
    store = Path(environment["MODEL_STORE"])
    with zipfile.ZipFile(store / "shapes.mar") as whole, zipfile.ZipFile(store / "broken.mar", "w") as broken:
        for name in whole.namelist():
            content = whole.read(name)
            broken.writestr(name, b"<net" if name == "model.xml" else content.replace(b"shapes", b"broken"))
    done = command("up", "--no-ui", "--detach", "--models", "broken", environment=environment)
    assert_refused(done, "a worker of broken died while loading", "server.log")
    assert re.search(r"loading: \w*(Error|Exception)", done.stderr), done.stderr
    assert processes_of(environment) == []


@pytest.mark.parametrize(
    ("body", "fragments"), [(bytes(4062133), ["yolov5n.pt", "sha256"]), (bytes(1000), ["4062133", "1000"])]
)
def test_a_corrupt_download_is_refused_and_not_kept(
    environment: dict[str, str], body: bytes, fragments: list[str]
) -> None:
    before = set((ROOT / "weights").glob("*")) if (ROOT / "weights").exists() else set()
    with answering(lambda *_: (200, body)) as url:
        done = command(
            "up", "--no-ui", "--detach", "--models", "yolov5n", environment={**environment, "YOLOV5_WEIGHTS_URL": url}
        )
    assert_refused(done, *fragments)
    assert (set((ROOT / "weights").glob("*")) if (ROOT / "weights").exists() else set()) == before


def test_a_full_disk_is_named(environment: dict[str, str]) -> None:
    # A file system of 3 MB, in a mount namespace that ends with the command. The archive is larger.
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    store = environment["MODEL_STORE"]
    up = f"{sys.executable} -m server.commands.up --no-ui --detach --models shapes"
    script = f"mount -t tmpfs -o size=3m small {store} && exec {up}"
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert_refused(done, "disk is full", "shapes.mar")


def test_the_token_command_prints_the_current_token(service: Service) -> None:
    keys = json.loads((service.run / "key_file.json").read_text())
    for api in ("inference", "management"):
        done = command("token", api, environment=service.environment)
        assert done.stdout == keys[api]["key"] + "\n"
    assert (service.run / "key_file.json").stat().st_mode & 0o077 == 0


def test_the_token_command_reports_that_nothing_runs(environment: dict[str, str]) -> None:
    done = command("token", "inference", environment=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is the service running?" in done.stderr
