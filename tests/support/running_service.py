"""A real service, started by the commands that a user has, for tests to talk to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.client import Client, read_token

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Service:
    """A running service and how to reach it."""

    environment: dict[str, str]
    models: tuple[str, ...]
    inference_url: str
    management_url: str
    metrics_url: str
    ui_url: str
    run: Path
    output: str

    @property
    def client(self) -> Client:
        return Client(self.inference_url, self.management_url, self.run / "key_file.json")

    @property
    def headers(self) -> dict[str, str]:
        """What an inference call needs."""
        return {"Authorization": f"Bearer {read_token(self.run / 'key_file.json', 'inference')}"}

    def describe(self, model: str) -> dict[str, Any]:
        return self.client.describe(model, customized=True)[0]

    def worker_pids(self, model: str) -> list[int]:
        return [worker["pid"] for worker in self.client.describe(model)[0]["workers"]]


def command(name: str, *arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """One of the commands in scripts/, as its bash front runs it once everything is installed."""
    module = {"archive": "archiver.cli"}.get(name, f"server.commands.{name}")
    words = [sys.executable, "-m", module, *arguments]
    return subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def environment_for(folder: Path, **more: str) -> dict[str, str]:
    """An environment with ports, a state folder and a model store of its own."""
    ports = free_ports(4)
    return {
        **os.environ,
        "RUN_DIR": str(folder / "run"),
        "MODEL_STORE": str(folder / "store"),
        "INFERENCE_PORT": str(ports[0]),
        "MANAGEMENT_PORT": str(ports[1]),
        "METRICS_PORT": str(ports[2]),
        "UI_PORT": str(ports[3]),
        **more,
    }


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


@contextmanager
def running(
    models: Sequence[str], environment: dict[str, str], *arguments: str, page: bool = False
) -> Iterator[Service]:
    """A service with these models, and more arguments of `up`, running within the block and gone after it."""
    arguments = arguments if page else ("--no-ui", *arguments)
    started = command("up", "--detach", "--models", ",".join(models), *arguments, environment=environment)
    assert started.returncode == 0, started.stdout + started.stderr
    try:
        yield Service(
            environment,
            tuple(models),
            f"http://127.0.0.1:{environment['INFERENCE_PORT']}",
            f"http://127.0.0.1:{environment['MANAGEMENT_PORT']}",
            f"http://127.0.0.1:{environment['METRICS_PORT']}",
            f"http://127.0.0.1:{environment['UI_PORT']}",
            Path(environment["RUN_DIR"]),
            started.stdout + started.stderr,
        )
    finally:
        stopped = command("down", environment=environment)
        assert stopped.returncode == 0, stopped.stdout + stopped.stderr
