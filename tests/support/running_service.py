"""A running service for tests, started with the commands of a user."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from service.client import Client
from service.tokens import read_token

ROOT = Path(__file__).parents[2]
STORE = ROOT / "build" / "tests"  # archives that all tests share


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
        """The headers of an inference request."""
        return {"Authorization": f"Bearer {read_token(self.run / 'key_file.json', 'inference')}"}

    def describe(self, model: str) -> dict[str, Any]:
        return self.client.describe(model, customized=True)[0]

    def worker_pids(self, model: str) -> list[int]:
        return [worker["pid"] for worker in self.client.describe(model)[0]["workers"]]


def command(name: str, *arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one of the commands in scripts/, as its bash front does when everything is installed."""
    module = {"archive": "archiver.cli"}.get(name, f"server.commands.{name}")
    command_line = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command_line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@cache
def embedded_archive(version: str = "1.0") -> Path:
    """The archive of the embedded model. Building it takes 10 s of a core, so all tests of all runs share it."""
    arguments = ("shapes", "--version", version, "--model-store", str(STORE))
    done = command("archive", *arguments, environment=dict(os.environ))
    assert done.returncode == 0, done.stderr
    return STORE / ("shapes.mar" if version == "1.0" else f"shapes-{version}.mar")


def environment_for(folder: Path, **more: str) -> dict[str, str]:
    """An environment with ports, a state folder and a model store of its own.

    The embedded model's archive is in the store already. `up` builds it again only where it is stale.
    """
    ports = free_ports(4)
    (folder / "store").mkdir(parents=True, exist_ok=True)
    shutil.copy2(embedded_archive(), folder / "store")
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


# Below the ports of outgoing connections (32768 and up on Linux), so that none of them takes a port between the choice
# here and the start of the server. Each process of pytest-xdist has its own range, and each run another start.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_RUN = zlib.crc32(os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid())).encode())
_START = 10_000 + (_RUN + 1_000 * _WORKER) % 21_000
_candidates = iter(range(_START, _START + 1_000))


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nothing listens on and that no other test is given."""
    return [next(port for port in _candidates if _is_free(port)) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def running(
    models: Sequence[str], environment: dict[str, str], *arguments: str, page: bool = False
) -> Iterator[Service]:
    """A service with these models during the block. `arguments`: more arguments of `up`."""
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
