"""The process that a container runs, without the container: started, broken and stopped as an engine would."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.client import Client, ServiceError
from support.pictures import crowded
from support.processes import none_left
from support.running_service import ROOT, free_ports
from support.swap_load import asking_at, stocked_environment

START_SECONDS = 90.0


class Container:
    """The running process, and what it is asked."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self.environment = environment
        self.log = Path(environment["RUN_DIR"]).with_suffix(".log")
        with self.log.open("a") as log:
            self.process = psutil.Popen(
                [sys.executable, "-m", "server.container.main", *arguments],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        self.url = f"http://127.0.0.1:{environment['INFERENCE_PORT']}"
        self.key_file = Path(environment["RUN_DIR"]) / "key_file.json"
        self.client = Client(self.url, f"http://127.0.0.1:{environment['MANAGEMENT_PORT']}", self.key_file)

    def probe(self, path: str = "/ready") -> tuple[int, list[str]]:
        """Status and problems; 0 where nothing answers."""
        url = f"http://127.0.0.1:{self.environment['HEALTH_PORT']}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, json.load(answer)["problems"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)["problems"]
        except OSError:
            return 0, []

    def wait_until(self, status: int, seconds: float = START_SECONDS) -> float:
        started = time.monotonic()
        while self.probe()[0] != status:
            assert self.process.poll() is None or status == 0, self.log.read_text()
            assert time.monotonic() - started < seconds, f"{self.probe()}\n{self.log.read_text()}"
            time.sleep(0.1)
        return time.monotonic() - started

    def versions(self) -> dict[str, int]:
        """Ready workers of each version of `shapes`."""
        return {each.version: each.ready_workers for each in self.client.describe_model("shapes").versions}

    def server(self) -> psutil.Process:
        return psutil.Process(json.loads((Path(self.environment["RUN_DIR"]) / "server.json").read_text())["pid"])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return int(self.process.wait(70))


@contextmanager
def container(environment: dict[str, str], *arguments: str) -> Iterator[Container]:
    started = Container(environment, "--models", "shapes", *arguments)
    try:
        started.wait_until(200)
        yield started
    finally:
        if started.process.is_running():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                started.stop()
        assert none_left(environment)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose store has three versions of `shapes`."""
    stocked = stocked_environment(tmp_path_factory.mktemp("container"), WORKERS_PER_MODEL="1", LOG_TO="console")
    stocked["HEALTH_PORT"] = str(free_ports(1)[0])
    words = ("-m", "server.commands.archives", "--models", "shapes")
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=stocked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return stocked


def test_what_was_registered_survives_a_killed_server(environment: dict[str, str]) -> None:
    with container(environment) as first:
        assert first.probe("/live")[0] == 200
        for method, path in (
            ("POST", "/models?url=shapes-2.0.mar&model_name=shapes&initial_workers=1&synchronous=true"),
            ("PUT", "/models/shapes/2.0/set-default"),
            ("PUT", "/models/shapes/2.0?min_worker=2&max_worker=2&synchronous=true"),
            ("PUT", "/models/shapes/1.0?min_worker=0&max_worker=0&synchronous=true"),
        ):
            first.client.call("management", method, path)
        time.sleep(6)
        first.server().kill()
        assert first.process.wait(20) == 1
    with container(environment) as second:
        assert second.versions() == {"1.0": 0, "2.0": 2}
        assert second.client.describe_model("shapes").default_version == "2.0"
        assert second.client.detect("shapes", crowded()).version == "2.0"
        assert second.stop() == 0
    (Path(environment["RUN_DIR"]) / "registered.json").unlink()


def test_lost_workers_show_until_there_are_new_ones(environment: dict[str, str]) -> None:
    with container(environment) as running:
        worker = int(running.client.describe("shapes")[0]["workers"][0]["pid"])
        network = next(Path(psutil.Process(worker).cwd()).glob("model.xml"))
        network.rename(network.with_suffix(".away"))
        psutil.Process(worker).kill()
        assert running.wait_until(503, 12) < 12
        assert running.probe()[1] == ["shapes: 0 of 1 workers are ready"]
        assert running.probe("/live")[0] == 200
        network.with_suffix(".away").rename(network)
        running.wait_until(200, 60)
    (Path(environment["RUN_DIR"]) / "registered.json").unlink()


def test_a_server_that_says_nothing_any_more_is_given_up(environment: dict[str, str]) -> None:
    with container(environment) as running:
        running.server().suspend()
        assert running.process.wait(150) == 1
        assert "TorchServe has not answered for 45 s" in running.log.read_text()
    (Path(environment["RUN_DIR"]) / "registered.json").unlink()


def test_requests_in_work_are_answered_before_the_end(environment: dict[str, str]) -> None:
    with container(environment) as running, ThreadPoolExecutor(8) as pool:
        stopped = threading.Event()
        clients = [pool.submit(ask_until, stopped, running.url, running.key_file) for _ in range(8)]
        time.sleep(2)
        assert running.stop() == 0
        stopped.set()
        for client in clients:
            outcomes = client.result()
            assert outcomes.count("answered") >= 5
            # Who was let in is answered, who comes after is told so: nobody is left without a word before that.
            assert next(outcome for outcome in outcomes if outcome != "answered") == "InvalidToken"
        assert "requests in work" not in running.log.read_text()
    (Path(environment["RUN_DIR"]) / "registered.json").unlink()


def ask_until(stopped: threading.Event, url: str, key_file: Path) -> list[str]:
    """What each request came to, in order, of one client that does not give up."""
    client, outcomes = Client(url, key_file=key_file, retries=0), []
    while not stopped.is_set():
        try:
            client.detect("shapes", crowded())
            outcomes.append("answered")
        except ServiceError as error:
            outcomes.append(type(error).__name__)
    return outcomes


def test_a_file_decides_what_is_registered_and_a_change_of_it_loses_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    desired = tmp_path / "registered.json"

    def ask_for(version: str, archive: str) -> None:
        entry: dict[str, Any] = {"model": "shapes", "version": version, "archive": archive, "workers": 1}
        desired.with_suffix(".new").write_text(json.dumps([{**entry, "is_default": True}]))
        desired.with_suffix(".new").replace(desired)

    ask_for("1.0", "shapes.mar")
    with container({**environment, "DESIRED_STATE": str(desired)}) as running:
        with asking_at(running.url, running.key_file) as load:
            ask_for("2.0", "shapes-2.0.mar")
            deadline = time.monotonic() + 60
            while running.versions() != {"2.0": 1}:
                assert time.monotonic() < deadline, running.log.read_text()
                assert running.probe()[0] == 200
                time.sleep(0.2)
        assert load.failures == []
        assert load.versions["2.0"] > 0
        ask_for("4.0", "broken.mar")
        deadline = time.monotonic() + 60
        while "could not be had" not in running.log.read_text():
            assert time.monotonic() < deadline, running.log.read_text()
            time.sleep(0.2)
        assert running.versions() == {"2.0": 1}
        assert running.client.detect("shapes", crowded()).version == "2.0"


def test_where_none_of_the_wanted_models_is_there_the_embedded_one_serves(environment: dict[str, str]) -> None:
    with container(environment, "--models", "yolov5x,nobody") as running:
        assert [model.name for model in running.client.describe_all()] == ["shapes"]
        assert "yolov5x NOT SERVED" in running.log.read_text()
        assert running.client.detect("shapes", crowded()).detections
    (Path(environment["RUN_DIR"]) / "registered.json").unlink()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"MODEL_STORE": "/nonexistent"}, "none of shapes has an archive in /nonexistent"),
        ({"MANAGEMENT_HOST": "nobody.invalid"}, "MANAGEMENT_HOST is 'nobody.invalid'"),
        ({"TOKEN_AUTHORIZATION": "off", "INFERENCE_HOST": "0.0.0.0"}, "TOKEN_AUTHORIZATION is off and INFERENCE_HOST"),
        ({"DESIRED_STATE": "/nonexistent"}, "expected a list of objects"),
    ],
)
def test_what_cannot_be_served_is_said(environment: dict[str, str], changes: dict[str, str], words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server.container.main", "--models", "shapes"],
        cwd=ROOT, env={**environment, **changes}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert words in done.stderr


def test_without_tokens_it_serves_who_reaches_it(environment: dict[str, str]) -> None:
    with container({**environment, "TOKEN_AUTHORIZATION": "off"}) as running:
        assert Client(running.url).detect("shapes", crowded()).detections
        assert not (Path(environment["RUN_DIR"]) / "key_file.json").exists()
        assert running.stop() == 0
    (Path(environment["RUN_DIR"]) / "registered.json").unlink()


def test_its_workers_go_first_where_memory_runs_out(environment: dict[str, str]) -> None:
    with container(environment) as running:
        worker = int(running.client.describe("shapes")[0]["workers"][0]["pid"])
        scores = [int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in (worker, running.server().pid)]
        assert scores[0] >= 500 > scores[1]
