"""Several replicas as in deploy/kubernetes, on one machine and without a cluster.

A pod is a container of the torchserve image, whose APIs listen on loopback, and an HAProxy with the configuration of
deploy/kubernetes/proxy. Another HAProxy takes the place of the Service: it sends requests to the pods in turn.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.client import Client
from support.kubernetes.proxies import INFERENCE, MANAGEMENT, configure, reachable
from support.running_service import free_ports
from support.stack.stack import docker
from support.waiting import wait_for

IMAGE = "yolov5-torchserve/torchserve:test"
PORTS = ("INFERENCE_PORT", "MANAGEMENT_PORT", "METRICS_PORT", "HEALTH_PORT")
READY_SECONDS = 300.0  # a deadline for a pod that hangs
PRE_STOP_SECONDS = 2.0
STATUS_FIELD = 17  # of HAProxy's "show stat"
FRONT = """
global
    hard-stop-after 5s
    stats socket {socket} mode 600 level admin
defaults
    mode http
    timeout connect 2s
    timeout client 130s
    timeout server 130s
    option redispatch
frontend service
    bind 127.0.0.1:{port}
    default_backend pods
backend pods
    balance roundrobin
    option httpchk
    http-check send meth GET uri /ready
    http-check expect status 200
    default-server check inter 500ms fall 1 rise 1
{servers}
"""


class Pod:
    """One replica, which can be stopped, killed and started again."""

    def __init__(self, name: str, folder: Path, store: Path, desired: Path) -> None:
        self.name, self.store, self.desired = name, store, desired
        folder.mkdir()
        self.inside = dict(zip(PORTS, free_ports(4), strict=True))
        self.ports = dict(zip((8080, 8081, 8082, 8084), free_ports(4), strict=True))
        path = configure(folder, dict(zip((9080, 9081, 9082, 8083), self.inside.values(), strict=True)), self.ports)
        self.log = (folder / "haproxy.log").open("w")
        self.proxy = subprocess.Popen(["haproxy", "-W", "-db", "-f", str(path)], stdout=self.log, stderr=self.log)

    def start(self) -> None:
        """Start the container and wait until the pod is ready."""
        docker("rm", "--force", self.name, check=False)
        variables = {
            **{name: str(port) for name, port in self.inside.items()},
            "INFERENCE_HOST": "127.0.0.1",
            "MANAGEMENT_HOST": "127.0.0.1",
            "TOKEN_AUTHORIZATION": "off",
            "ENABLE_MODEL_API": "true",
            "WORKERS_PER_MODEL": "1",
            "DESIRED_STATE": "/etc/yolov5/registered.json",
        }
        command = ["run", "--detach", "--name", self.name, "--network", "host", "--init", "--read-only"]
        command += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp:size=1g,mode=1777"]
        command += [
            "--tmpfs",
            "/run/service:uid=10001,gid=10001,mode=0700",
            "--volume",
            f"{self.store}:/model-store:ro",
        ]
        command += ["--volume", f"{self.desired.parent}:/etc/yolov5:ro"]
        command += [option for name, value in variables.items() for option in ("--env", f"{name}={value}")]
        docker(*command, IMAGE, "--models", "shapes")
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            assert time.monotonic() < deadline, docker("logs", "--tail", "40", self.name).stderr
            time.sleep(0.2)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[8080]}/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stop(self) -> None:
        """End it as a kubelet does: the preStop hook, its wait, then the signal."""
        urllib.request.urlopen(f"http://127.0.0.1:{self.ports[8084]}/drain", timeout=5).close()
        time.sleep(PRE_STOP_SECONDS)  # longer in a cluster, which takes time to remove endpoints
        docker("stop", "--time", "60", self.name)

    def versions(self) -> dict[str, int]:
        """Ready workers of each version of `shapes`."""
        client = Client(f"http://127.0.0.1:{self.inside['INFERENCE_PORT']}", self.management)
        return {version.version: version.ready_workers for version in client.describe_model("shapes").versions}

    @property
    def management(self) -> str:
        return f"http://127.0.0.1:{self.inside['MANAGEMENT_PORT']}"

    def remove(self) -> None:
        docker("rm", "--force", self.name, check=False)
        self.proxy.terminate()
        self.proxy.wait(20)
        self.log.close()


class Replicas:
    """The pods, and the proxy in front of them."""

    def __init__(self, folder: Path, store: Path, count: int) -> None:
        self.desired = folder / "desired" / "registered.json"
        self.desired.parent.mkdir()
        self.request_version("1.0", "shapes.mar")
        self.key_file = folder / "key_file.json"
        self.write_tokens()
        name = f"replica{free_ports(1)[0]}"
        self.pods = [Pod(f"{name}-{index}", folder / str(index), store, self.desired) for index in range(count)]
        (port,) = free_ports(1)
        self.url, self.socket = f"http://127.0.0.1:{port}", folder / "front.sock"
        servers = [f"    server pod{index} 127.0.0.1:{pod.ports[8080]}" for index, pod in enumerate(self.pods)]
        path = folder / "front.cfg"
        path.write_text(FRONT.format(socket=self.socket, port=port, servers="\n".join(servers)))
        self.front = subprocess.Popen(["haproxy", "-W", "-db", "-f", str(path)], stderr=subprocess.DEVNULL)

    def write_tokens(self) -> None:
        """Write the tokens of the clients, which never change."""
        tokens = {"inference": {"key": INFERENCE}, "management": {"key": MANAGEMENT}}
        self.key_file.write_text(json.dumps(tokens))

    def request_version(self, version: str, archive: str) -> None:
        """Change the file with the desired state, as `kubectl apply` does in every pod with components/hot-swap."""
        entry: dict[str, Any] = {"model": "shapes", "version": version, "archive": archive, "workers": 1}
        new = self.desired.with_suffix(".new")
        new.write_text(json.dumps([{**entry, "is_default": True}]))
        new.replace(self.desired)

    def replace(self, index: int) -> None:
        """Remove a pod from the Service, end it in order, start it again, and add it."""
        self._command(f"set server pods/pod{index} state drain")
        self.pods[index].stop()
        self.pods[index].start()
        self._command(f"set server pods/pod{index} state ready")
        self.wait_for_state(index, "UP")

    def wait_for_state(self, index: int, state: str) -> None:
        """Return when the Service regards a pod as UP or DOWN."""
        wait_for(lambda: self._state(index).startswith(state))

    def _state(self, index: int) -> str:
        rows = [line.split(",") for line in self._send("show stat").splitlines()]
        return next(row[STATUS_FIELD] for row in rows if row[:2] == ["pods", f"pod{index}"])

    def _command(self, command: str) -> None:
        assert self._send(command).strip() == ""

    def _send(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            connection.sendall(f"{command}\n".encode())
            return connection.makefile().read()

    def close(self) -> None:
        self.front.terminate()
        self.front.wait(20)
        for pod in self.pods:
            pod.remove()


@contextmanager
def replicas(folder: Path, store: Path, count: int) -> Iterator[Replicas]:
    """Ready replicas during the block."""
    if shutil.which("haproxy") is None:
        pytest.skip("haproxy is not installed (Debian: apt install haproxy)")
    folder.chmod(0o755)
    started = Replicas(folder, store, count)
    try:
        for pod in started.pods:
            pod.start()
        wait_for(lambda: reachable(int(started.url.rpartition(":")[2])))
        for index in range(count):
            started.wait_for_state(index, "UP")
        yield started
    finally:
        started.close()
