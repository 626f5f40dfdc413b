"""A pod's proxy, run by HAProxy itself with a stand-in of the server behind it."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from server.container.health import HealthServer
from support.http_server import Reply, answering
from support.kubernetes.manifests import KUBERNETES, program
from support.running_service import free_ports

CONFIGURATION = KUBERNETES / "proxy" / "haproxy.cfg"
INFERENCE, OTHER, MANAGEMENT = "a" * 64, "b" * 64, "c" * 64
LIMIT = 33554432


@dataclass
class Pod:
    """A proxy, the ports that it listens on by those of its configuration, and what came through it."""

    ports: dict[int, int] = field(default_factory=dict)
    came: list[tuple[str, dict[str, str], int]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def reply(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """The stand-in's answer."""
        self.came.append((path, headers, len(body)))
        if path == "/predictions/slow":
            self.release.wait(20)
        return 200, json.dumps({"path": path}).encode()

    def ask(
        self, port: int, path: str, token: str | None = None, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers (their names in lower case) and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=20)
        own = {"Authorization": f"Bearer {token}"} if token is not None else {}
        try:
            connection.request(method, path, headers={**own, **(headers or {})})
            answer = connection.getresponse()
            lowered = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, lowered, answer.read().decode()
        finally:
            connection.close()

    def status(self, port: int, path: str, token: str | None = None, method: str = "GET") -> int:
        """Only the status."""
        return self.ask(port, path, token, method)[0]


def configure(folder: Path, inside: dict[int, int], ports: dict[int, int]) -> Path:
    """The configuration with other ports and another folder for the tokens, and nothing else changed.

    inside, ports: what to put for each port that the proxy goes to, and for each that it listens on.
    """
    tokens = folder / "tokens"
    tokens.mkdir()
    (tokens / "inference-tokens").write_text(f"{INFERENCE}\n{OTHER}\n")
    (tokens / "management-tokens").write_text(f"{MANAGEMENT}\n")
    text = CONFIGURATION.read_text().replace("/etc/haproxy/tokens/", f"{tokens}/")
    for old, new in inside.items():
        text, count = re.subn(rf"(server \w+ 127\.0\.0\.1:|check port ){old}\b", rf"\g<1>{new}", text)
        assert count >= 1
    for old, new in ports.items():
        text, count = re.subn(rf"bind (127\.0\.0\.1)?:{old}\b", f"bind 127.0.0.1:{new}", text)
        assert count == 1
    path = folder / "haproxy.cfg"
    path.write_text(text)
    return path


@contextmanager
def proxied(folder: Path, health: HealthServer) -> Iterator[Pod]:
    """A pod whose server has this health."""
    haproxy = program("haproxy")
    pod = Pod(dict(zip((8080, 8081, 8082, 8084), free_ports(4), strict=True)))
    with answering(pod.reply) as url:
        server = int(url.rpartition(":")[2])
        path = configure(folder, {9080: server, 9081: server, 9082: server, 8083: health.port}, pod.ports)
        with (folder / "log").open("w") as log:
            process = subprocess.Popen([haproxy, "-W", "-db", "-f", str(path)], stdout=log, stderr=log)
        try:
            wait_for(lambda: process.poll() is None and reachable(pod.ports[8080]))
            yield pod
        finally:
            process.terminate()
            process.wait(20)


def reachable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], bool]) -> None:
    """Return once it holds."""
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
