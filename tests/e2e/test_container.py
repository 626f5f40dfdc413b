"""The main process of a container, without the container: started, broken and stopped as an engine does it."""

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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.client import Client
from service.errors import ServiceError
from support.clients import CLIENTS
from support.pictures import crowded
from support.processes import all_ended
from support.running_service import ROOT, free_ports
from support.swap_load import load_on_url, stocked_environment

DEADLINE_SECONDS = 180.0  # for what hangs; it says nothing about the speed of a machine
MIN_ANSWERS = 5  # of each client, before the container is stopped


class Container:
    """The running process, and how to reach it."""

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
        """Status and problems; 0 without an answer."""
        url = f"http://127.0.0.1:{self.environment['HEALTH_PORT']}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, json.load(answer)["problems"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)["problems"]
        except OSError:
            return 0, []

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds. Fails if the process ends before."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"{self.probe()}\n{self.log.read_text()}"
            time.sleep(0.1)

    def wait_for_status(self, status: int) -> None:
        """Return when /ready answers with this status."""
        self.wait_for(lambda: self.probe()[0] == status)

    def saved(self) -> list[tuple[str, int, bool]]:
        """Version, workers and default of each saved registration."""
        try:
            content = json.loads(self.saved_file.read_text())
        except OSError:
            return []
        return [(entry["version"], entry["workers"], entry["is_default"]) for entry in content["registered"]]

    @property
    def saved_file(self) -> Path:
        return Path(self.environment["RUN_DIR"]) / "registered.json"

    def versions(self) -> dict[str, int]:
        """Ready workers of each version of `shapes`."""
        return {version.version: version.ready_workers for version in self.client.describe_model("shapes").versions}

    def server(self) -> psutil.Process:
        return psutil.Process(json.loads((Path(self.environment["RUN_DIR"]) / "server.json").read_text())["pid"])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return int(self.process.wait(DEADLINE_SECONDS))


@contextmanager
def container(environment: dict[str, str], *arguments: str) -> Iterator[Container]:
    started = Container(environment, "--models", "shapes", *arguments)
    try:
        started.wait_for_status(200)
        yield started
    finally:
        if started.process.is_running():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
                started.stop()
        assert all_ended(environment)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment whose store has three versions of `shapes`."""
    stocked = stocked_environment(tmp_path_factory.mktemp("container"), WORKERS_PER_MODEL="1", LOG_TO="console")
    stocked["HEALTH_PORT"] = str(free_ports(1)[0])
    command = [sys.executable, "-m", "server.commands.archives", "--models", "shapes"]
    done = subprocess.run(command, cwd=ROOT, env=stocked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return stocked


def forget_registrations(environment: dict[str, str]) -> None:
    (Path(environment["RUN_DIR"]) / "registered.json").unlink()


def test_registrations_survive_a_killed_server(environment: dict[str, str]) -> None:
    with container(environment) as first:
        assert first.probe("/live")[0] == 200
        for method, path in (
            ("POST", "/models?url=shapes-2.0.mar&model_name=shapes&initial_workers=1&synchronous=true"),
            ("PUT", "/models/shapes/2.0/set-default"),
            ("PUT", "/models/shapes/2.0?min_worker=2&max_worker=2&synchronous=true"),
            ("PUT", "/models/shapes/1.0?min_worker=0&max_worker=0&synchronous=true"),
        ):
            first.client.call("management", method, path)
        first.wait_for(lambda: first.saved() == [("2.0", 2, True), ("1.0", 0, False)])
        first.server().kill()
        assert first.process.wait(DEADLINE_SECONDS) == 1
    with container(environment) as second:
        assert second.versions() == {"1.0": 0, "2.0": 2}
        assert second.client.describe_model("shapes").default_version == "2.0"
        assert second.client.detect("shapes", crowded()).version == "2.0"
        assert second.stop() == 0
    forget_registrations(environment)


def test_lost_workers_are_reported_until_they_are_replaced(environment: dict[str, str]) -> None:
    with container(environment) as running:
        worker = int(running.client.describe("shapes")[0]["workers"][0]["pid"])
        network = next(Path(psutil.Process(worker).cwd()).glob("model.xml"))
        network.rename(network.with_suffix(".away"))
        psutil.Process(worker).kill()
        running.wait_for_status(503)
        assert running.probe()[1] == ["shapes: 0 of 1 workers are ready"]
        assert running.probe("/live")[0] == 200
        network.with_suffix(".away").rename(network)
        running.wait_for_status(200)
    forget_registrations(environment)


def test_a_server_that_does_not_answer_is_given_up(environment: dict[str, str]) -> None:
    with container(environment) as running:
        running.server().suspend()
        assert running.process.wait(DEADLINE_SECONDS) == 1
        assert "TorchServe has not answered for 45 s" in running.log.read_text()
    forget_registrations(environment)


def test_requests_in_progress_are_answered_before_the_end(environment: dict[str, str]) -> None:
    with container(environment) as running, ThreadPoolExecutor(CLIENTS) as pool:
        stopped = threading.Event()
        outcomes: list[list[str]] = [[] for _ in range(CLIENTS)]
        clients = [pool.submit(send_until, stopped, running, own) for own in outcomes]
        try:
            running.wait_for(lambda: all(own.count("answered") >= MIN_ANSWERS for own in outcomes))
            assert running.stop() == 0
        finally:
            stopped.set()
        for client in clients:
            client.result()
        for own in outcomes:
            assert own.count("answered") >= MIN_ANSWERS
            # Accepted requests are answered and later ones refused for their token; no request is dropped before that.
            assert next(outcome for outcome in own if outcome != "answered") == "InvalidToken"
        assert "requests in progress" not in running.log.read_text()
    forget_registrations(environment)


def send_until(stopped: threading.Event, running: Container, outcomes: list[str]) -> None:
    """A client that sends requests until `stopped` is set, and appends the outcome of each."""
    client = Client(running.url, key_file=running.key_file, retries=0)
    while not stopped.is_set():
        try:
            client.detect("shapes", crowded())
            outcomes.append("answered")
        except ServiceError as error:
            outcomes.append(type(error).__name__)


def test_registrations_follow_a_file_and_its_change_loses_no_request(
    environment: dict[str, str], tmp_path: Path
) -> None:
    desired = tmp_path / "registered.json"

    def request_version(version: str, archive: str) -> None:
        entry: dict[str, Any] = {"model": "shapes", "version": version, "archive": archive, "workers": 1}
        desired.with_suffix(".new").write_text(json.dumps([{**entry, "is_default": True}]))
        desired.with_suffix(".new").replace(desired)

    request_version("1.0", "shapes.mar")
    with container({**environment, "DESIRED_STATE": str(desired)}) as running:
        with load_on_url(running.url, running.key_file) as load:
            request_version("2.0", "shapes-2.0.mar")
            running.wait_for(lambda: running.probe()[0] != 200 or running.versions() == {"2.0": 1})
            assert running.probe()[0] == 200
        assert load.failures == []
        assert load.versions["2.0"] > 0
        request_version("4.0", "broken.mar")
        running.wait_for(lambda: "was not reached" in running.log.read_text())
        assert running.versions() == {"2.0": 1}
        assert running.client.detect("shapes", crowded()).version == "2.0"


def test_without_the_requested_models_the_embedded_one_is_served(environment: dict[str, str]) -> None:
    with container(environment, "--models", "yolov5x,nobody") as running:
        assert [model.name for model in running.client.describe_all()] == ["shapes"]
        assert "yolov5x NOT SERVED" in running.log.read_text()
        assert running.client.detect("shapes", crowded()).detections
    forget_registrations(environment)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"MODEL_STORE": "/nonexistent"}, "none of shapes has an archive in /nonexistent"),
        ({"MANAGEMENT_HOST": "nobody.invalid"}, "MANAGEMENT_HOST is 'nobody.invalid'"),
        ({"TOKEN_AUTHORIZATION": "off", "INFERENCE_HOST": "0.0.0.0"}, "TOKEN_AUTHORIZATION is off and INFERENCE_HOST"),
        ({"DESIRED_STATE": "/nonexistent"}, "expected a list of objects"),
    ],
)
def test_it_reports_why_it_cannot_serve(environment: dict[str, str], changes: dict[str, str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "server.container.main", "--models", "shapes"],
        cwd=ROOT, env={**environment, **changes}, capture_output=True, text=True, check=False, timeout=DEADLINE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 1
    assert message in done.stderr


def test_without_tokens_it_serves_every_client(environment: dict[str, str]) -> None:
    with container({**environment, "TOKEN_AUTHORIZATION": "off"}) as running:
        assert Client(running.url).detect("shapes", crowded()).detections
        assert not (Path(environment["RUN_DIR"]) / "key_file.json").exists()
        assert running.stop() == 0
    forget_registrations(environment)


def test_when_memory_runs_out_its_workers_are_killed_first(environment: dict[str, str]) -> None:
    with container(environment) as running:
        worker = int(running.client.describe("shapes")[0]["workers"][0]["pid"])
        scores = [int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in (worker, running.server().pid)]
        assert scores[0] >= 500 > scores[1]
