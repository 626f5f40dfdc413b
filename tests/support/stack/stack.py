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

SERVICES = ("archiver", "torchserve", "ui")
READY_SECONDS = 300


@dataclass(frozen=True)
class Stack:
    """A stack with a name, ports and volumes of its own. `folder` holds a copy of its key file."""

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

    def compose(self, *words: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        return docker("compose", *words, environment=self.environment, check=check, timeout=timeout)

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self.compose("ps", "--all", "--quiet", service).stdout.strip()

    def inspect(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(docker("inspect", self.container(service)).stdout)[0]
        return found

    def python(self, service: str, code: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run code in a service's container, as its user."""
        words = ("exec", "--no-TTY", service, "python", "-c", code, *arguments)
        return self.compose(*words, check=check, timeout=120)

    def keys(self) -> dict[str, dict[str, str]]:
        """The key file as it is now."""
        code = "print(open('/run/service/key_file.json').read())"
        content: dict[str, dict[str, str]] = json.loads(self.python("torchserve", code).stdout)
        return content

    def client(self, retries: int = 4) -> Client:
        """A client with the token that is in force now. Management cannot be reached from here."""
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
        """Versions of each model with their workers that are ready, and whether it is loaded from the start."""
        models = json.loads(self.management("GET", "/models")[1])["models"]
        found = {}
        for model in models:
            entries = json.loads(self.management("GET", f"/models/{model['modelName']}/all")[1])
            found[model["modelName"]] = [
                (entry["modelVersion"], sum(w["status"] == "READY" for w in entry["workers"]), entry["loadedAtStartup"])
                for entry in entries
            ]
        return found

    def pids(self, word: str) -> list[int]:
        """Ids, inside TorchServe's container, of the processes whose command contains a word."""
        code = (
            "import sys, pathlib\n"
            "for p in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
            "    try: words = p.read_bytes().decode().split(chr(0))\n"
            "    except OSError: continue\n"
            "    if any(sys.argv[1] in w for w in words) and '-c' not in words: print(p.parent.name)\n"
        )
        return [int(line) for line in self.python("torchserve", code, word).stdout.split()]

    def kill(self, pid: int) -> None:
        self.python("torchserve", "import os, sys; os.kill(int(sys.argv[1]), 9)", str(pid))

    def health(self, service: str = "torchserve") -> str:
        state: dict[str, Any] = self.inspect(service)["State"]
        return str(state["Health"]["Status"] if state["Running"] else state["Status"])

    def started_at(self, service: str = "torchserve") -> str:
        """When a service's container was started last."""
        return str(self.inspect(service)["State"]["StartedAt"])

    def wait_for_health(self, status: str, seconds: float, service: str = "torchserve") -> float:
        """Seconds until a service's health has this status. Fails where that takes too long."""
        started = time.monotonic()
        while (now := self.health(service)) != status:
            if time.monotonic() - started > seconds:
                logs = self.compose("logs", "--tail", "30", service).stdout
                pytest.fail(f"{service} is {now} and not {status} after {seconds:.0f} s:\n{logs}")
            time.sleep(0.5)
        return time.monotonic() - started


def docker(
    *words: str, environment: dict[str, str] | None = None, check: bool = True, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """A docker command; what it says is shown where it fails."""
    done = subprocess.run(
        ["docker", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=timeout
    )
    assert not check or done.returncode == 0, f"docker {' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def require_engine() -> None:
    """Skip where there is no Docker engine."""
    try:
        answers = docker("info", check=False).returncode == 0
    except FileNotFoundError:
        answers = False
    if not answers:
        pytest.skip("no Docker engine answers: these tests build and run the stack")


def stack_environment(folder: Path, name: str, models: tuple[str, ...], **more: str) -> dict[str, str]:
    """What .env would say for a stack beside others."""
    inference, ui, grafana = free_ports(3)
    folder.chmod(0o755)  # the containers' user reads the password
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
    """Build the images as compose.yaml says. `docker build`, because not every engine has what compose builds with."""
    config = json.loads(docker("compose", "config", "--format", "json", environment=environment).stdout)
    for name in SERVICES:
        service = config["services"][name]
        words = ["build", "--tag", service["image"], "--file", service["build"]["dockerfile"]]
        for key, value in service["build"].get("args", {}).items():
            words += ["--build-arg", f"{key}={value}"]
        docker(*words, service["build"]["context"], timeout=1800)


def left_behind(name: str) -> list[str]:
    """Containers, networks and volumes of a stack."""
    of_it = ("--quiet", "--filter", f"label=com.docker.compose.project={name}")
    kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
    return [line for kind in kinds for line in docker(*kind, *of_it).stdout.split()]


@contextmanager
def up(stack: Stack) -> Iterator[Stack]:
    """The stack healthy within the block; after it nothing is left but the images."""
    try:
        stack.compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", str(READY_SECONDS))
        yield stack
    finally:
        stack.compose("down", "--volumes", check=False)
        assert left_behind(stack.name) == []
