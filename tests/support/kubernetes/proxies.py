"""The proxy of a pod: HAProxy with a stand-in of the server behind it."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from server.container.health import HealthServer
from support.http_server import Reply, answering
from support.kubernetes.manifests import KUBERNETES, program
from support.running_service import free_ports
from support.waiting import wait_for

CONFIGURATION = KUBERNETES / "proxy" / "haproxy.cfg"
INFERENCE, OTHER, MANAGEMENT = "a" * 64, "b" * 64, "c" * 64
MAX_BODY_BYTES = 33554432
DEADLINE_SECONDS = 60.0  # for what hangs


@dataclass
class Pod:
    """A proxy, the ports that take the place of those in its configuration, and the forwarded requests."""

    ports: dict[int, int] = field(default_factory=dict)
    forwarded: list[tuple[str, dict[str, str], int]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def reply(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """The answer of the stand-in."""
        self.forwarded.append((path, headers, len(body)))
        if path == "/predictions/slow":
            self.release.wait(DEADLINE_SECONDS)
        return 200, json.dumps({"path": path}).encode()

    def send(
        self, port: int, path: str, token: str | None = None, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Send a request. Returns status, headers (with lower-case names) and body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=DEADLINE_SECONDS)
        own = {"Authorization": f"Bearer {token}"} if token is not None else {}
        try:
            connection.request(method, path, headers={**own, **(headers or {})})
            answer = connection.getresponse()
            lowered = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, lowered, answer.read().decode()
        finally:
            connection.close()

    def status(self, port: int, path: str, token: str | None = None, method: str = "GET") -> int:
        """The status of an answer."""
        return self.send(port, path, token, method)[0]


def configure(folder: Path, inside: dict[int, int], ports: dict[int, int]) -> Path:
    """Write the configuration with other ports and another folder for the tokens.

    inside, ports: the new port for each port that the proxy connects to, and for each that it listens on.
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
    """A running proxy whose server has this health."""
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
