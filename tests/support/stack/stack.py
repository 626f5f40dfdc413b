"""The stack of compose.yaml, built and run by a real Docker engine, for tests to use, attack and break."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.client import Client
from support.running_service import ROOT, free_ports
from support.waiting import wait_for

SERVICES = ("archiver", "torchserve", "ui")
READY_SECONDS = 300
DEADLINE_SECONDS = 180.0  # for what hangs; it says nothing about the speed of a machine


@dataclass(frozen=True)
class Stack:
    """A stack with its own name, ports and volumes. `folder` holds a copy of its key file."""

    environment: dict[str, str]
    folder: Path
    models: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.environment["STACK_NAME"]

    @property
    def inference_url(self) -> str:
        return f"http://127.0.0.1:{self.environment['INFERENCE_PORT']}"

    @property
    def ui_url(self) -> str:
        return f"http://127.0.0.1:{self.environment['UI_PORT']}"

    def compose(self, *arguments: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        return docker("compose", *arguments, environment=self.environment, check=check, timeout=timeout)

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self.compose("ps", "--all", "--quiet", service).stdout.strip()

    def inspect(self, service: str) -> dict[str, Any]:
        container: dict[str, Any] = json.loads(docker("inspect", self.container(service)).stdout)[0]
        return container

    def python(self, service: str, code: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run code in a service's container, as its user."""
        command = ("exec", "--no-TTY", service, "python", "-c", code, *arguments)
        return self.compose(*command, check=check, timeout=120)

    def keys(self) -> dict[str, dict[str, str]]:
        """The current content of the key file."""
        code = "print(open('/run/service/key_file.json').read())"
        content: dict[str, dict[str, str]] = json.loads(self.python("torchserve", code).stdout)
        return content

    def client(self, retries: int = 4) -> Client:
        """A client with the current token. The management API cannot be reached from here."""
        path = self.folder / "key_file.json"
        path.write_text(json.dumps(self.keys()))
        return Client(self.inference_url, key_file=path, retries=retries)

    def management(self, method: str, path: str, token: str | None = None) -> tuple[int, str]:
        """Status and text of a call to the management API from the page's container, which can reach it."""
        code = (
            "import sys, requests\n"
            "method, path, token = sys.argv[1:]\n"
            "headers = {'Authorization': 'Bearer ' + token} if token else {}\n"
            "url = 'http://torchserve.internal:8081' + path\n"
            "answer = requests.request(method, url, headers=headers, timeout=100)\n"
            "print(answer.status_code); print(answer.text)\n"
        )
        token = self.keys()["management"]["key"] if token is None else token
        status, _, text = self.python("ui", code, method, path, token).stdout.partition("\n")
        return int(status), text

    def registered(self) -> dict[str, list[tuple[str, int, bool]]]:
        """The versions of each model: version, number of ready workers, whether it was loaded at the start."""
        models = json.loads(self.management("GET", "/models")[1])["models"]
        versions = {}
        for model in models:
            entries = json.loads(self.management("GET", f"/models/{model['modelName']}/all")[1])
            versions[model["modelName"]] = [
                (entry["modelVersion"], sum(w["status"] == "READY" for w in entry["workers"]), entry["loadedAtStartup"])
                for entry in entries
            ]
        return versions

    def saved(self) -> list[dict[str, Any]]:
        """The registrations that the container has saved for its next start."""
        code = "print(open('/run/service/registered.json').read())"
        registered: list[dict[str, Any]] = json.loads(self.python("torchserve", code).stdout)["registered"]
        return registered

    def pids(self, argument: str) -> list[int]:
        """Ids, inside TorchServe's container, of the processes that have this text in an argument."""
        code = (
            "import sys, pathlib\n"
            "for p in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
            "    try: words = p.read_bytes().decode().split(chr(0))\n"
            "    except OSError: continue\n"
            "    if any(sys.argv[1] in w for w in words) and '-c' not in words: print(p.parent.name)\n"
        )
        return [int(line) for line in self.python("torchserve", code, argument).stdout.split()]

    def kill(self, pid: int) -> None:
        self.python("torchserve", "import os, sys; os.kill(int(sys.argv[1]), 9)", str(pid))

    def health(self, service: str = "torchserve") -> str:
        state: dict[str, Any] = self.inspect(service)["State"]
        return str(state["Health"]["Status"] if state["Running"] else state["Status"])

    def started_at(self, service: str = "torchserve") -> str:
        """The time of the last start of a service's container."""
        return str(self.inspect(service)["State"]["StartedAt"])

    def wait_for_health(self, status: str, seconds: float, service: str = "torchserve") -> float:
        """Wait until a service has this health, and return the seconds it took. Fails after `seconds`."""
        started = time.monotonic()
        while (now := self.health(service)) != status:
            if time.monotonic() - started > seconds:
                logs = self.compose("logs", "--tail", "30", service).stdout
                pytest.fail(f"{service} is {now} and not {status} after {seconds:.0f} s:\n{logs}")
            time.sleep(0.5)
        return time.monotonic() - started

    def wait_for_probes(self, count: int, service: str = "torchserve") -> None:
        """Return when the engine has probed a service's health so many times from now on."""
        before = self._probes(service)
        after: set[str] = set()

        def are_enough() -> bool:
            after.update(self._probes(service) - before)
            return len(after) >= count

        wait_for(are_enough)

    def _probes(self, service: str) -> set[str]:
        """The start times of the last probes; the engine keeps five of them."""
        log: list[dict[str, Any]] = self.inspect(service)["State"]["Health"]["Log"]
        return {probe["Start"] for probe in log}


def docker(
    *arguments: str, environment: dict[str, str] | None = None, check: bool = True, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run a docker command. Its output is shown if it fails."""
    done = subprocess.run(
        ["docker", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=timeout
    )
    assert not check or done.returncode == 0, (
        f"docker {' '.join(arguments)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    return done


def require_engine() -> None:
    """Skip the test without a Docker engine."""
    try:
        is_running = docker("info", check=False).returncode == 0
    except FileNotFoundError:
        is_running = False
    if not is_running:
        pytest.skip("no Docker engine answers: these tests build and run the stack")


def stack_environment(folder: Path, name: str, models: tuple[str, ...], **more: str) -> dict[str, str]:
    """The variables, as in .env, of a stack that can run beside others."""
    inference, ui, grafana = free_ports(3)
    folder.chmod(0o755)  # the user of the containers reads the password
    password = folder / "operator_password"
    password.write_text("secret\n")
    password.chmod(0o644)
    return {
        **os.environ,
        "STACK_NAME": name,
        "VERSION": "test",
        "INFERENCE_PORT": str(inference),
        "UI_PORT": str(ui),
        "GRAFANA_PORT": str(grafana),
        "MODELS": ",".join(models),
        "WEIGHTS_DIR": os.environ.get("YOLOV5_WEIGHTS_DIR", str(ROOT / "weights")),
        "OPERATOR_PASSWORD_FILE": str(password),
        **more,
    }


def build(environment: dict[str, str]) -> None:
    """Build the images of compose.yaml with `docker build`: `docker compose build` may need a plugin."""
    config = json.loads(docker("compose", "config", "--format", "json", environment=environment).stdout)
    for name in SERVICES:
        service = config["services"][name]
        command = ["build", "--tag", service["image"], "--file", service["build"]["dockerfile"]]
        for key, value in service["build"].get("args", {}).items():
            command += ["--build-arg", f"{key}={value}"]
        docker(*command, service["build"]["context"], timeout=1800)


def left_behind(name: str) -> list[str]:
    """The containers, networks and volumes of a stack."""
    own = ("--quiet", "--filter", f"label=com.docker.compose.project={name}")
    kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
    return [line for kind in kinds for line in docker(*kind, *own).stdout.split()]


@contextmanager
def up(stack: Stack) -> Iterator[Stack]:
    """A healthy stack during the block. Afterwards only the images remain."""
    try:
        stack.compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", str(READY_SECONDS))
        yield stack
    finally:
        stack.compose("down", "--volumes", check=False)
        assert left_behind(stack.name) == []
