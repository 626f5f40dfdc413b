"""The systems under test, each started as its users start it. All run at the same time; one is under load."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import psutil
import requests

from benchmarks.inputs import VariantCheckpoints
from benchmarks.load import BenchmarkError, Sample, Target, run_load
from server.runtime.ports import free_port
from server.runtime.settings import ROOT, Settings
from server.runtime.torchserve import find_server
from service.client import Client

START_SECONDS = 180.0
Design = Literal["this service", "first version", "ultralytics export", "in-process"]


class System(Protocol):
    """A system under test."""

    @property
    def design(self) -> Design:
        """The design of the system."""
        ...

    @property
    def model(self) -> str:
        """Name of the model, with its precision."""
        ...

    def run(self, clients: int, seconds: float) -> Sample:
        """Send requests from `clients` clients for some seconds."""
        ...


@dataclass(frozen=True)
class HttpSystem:
    """A system that is reached by HTTP."""

    design: Design
    model: str
    target: Target

    def run(self, clients: int, seconds: float) -> Sample:
        """See System."""
        return run_load(self.target, clients, seconds)


@dataclass(frozen=True)
class InProcessSystem:
    """The upper limit: the code of an archive called in a loop, without a server."""

    model: str
    folder: Path
    photo: Path
    design: Design = "in-process"

    def run(self, clients: int, seconds: float) -> Sample:
        """See System."""
        mode = "lone" if clients == 1 else "many"
        command = [sys.executable, "-m", "benchmarks.in_process"]
        command += [str(self.folder), str(self.photo), str(seconds), mode]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BenchmarkError(f"in-process {self.model} failed: {done.stderr.strip()[-500:]}")
        return Sample(**json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def this_service(models: Sequence[str], photo: Path) -> Iterator[list[HttpSystem]]:
    """Serve archives of the model store with scripts/up; yields a system for each."""
    command = [sys.executable, "-m", "server.commands.up", "--detach", "--no-ui", "--models", ",".join(models)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"scripts/up failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    try:
        yield [_own_system(model, photo) for model in models]
    finally:
        subprocess.run([sys.executable, "-m", "server.commands.down"], cwd=ROOT, capture_output=True, check=False)


@contextmanager
def first_version(checkpoints: VariantCheckpoints, photo: Path, folder: Path) -> Iterator[HttpSystem]:
    """Serve the first version's design, see first_version.py."""
    body = folder / "request.json"
    body.write_text(json.dumps({"model": checkpoints.variant, "image": base64.b64encode(photo.read_bytes()).decode()}))
    with _uvicorn("benchmarks.first_version", checkpoints.with_anchors) as (url, process):
        target = Target(f"{url}/predict", body, "application/json", None, [process])
        yield HttpSystem("first version", checkpoints.variant, target)


@contextmanager
def ultralytics_export(checkpoints: VariantCheckpoints, photo: Path) -> Iterator[HttpSystem]:
    """Serve ultralytics' export, see ultralytics_export.py."""
    exported = checkpoints.anchor_free.with_name(f"{checkpoints.anchor_free.stem}_openvino_model")
    if not exported.is_dir():
        command = [sys.executable, "-m", "benchmarks.ultralytics_export", str(checkpoints.anchor_free)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not exported.is_dir():
            raise BenchmarkError(f"ultralytics did not export {checkpoints.anchor_free}: {done.stderr[-500:]}")
    with _uvicorn("benchmarks.ultralytics_export", exported) as (url, process):
        target = Target(f"{url}/predict", photo, "application/octet-stream", None, [process])
        yield HttpSystem("ultralytics export", f"{checkpoints.variant}u", target)


def in_process(model: str, photo: Path, store: Path, folder: Path) -> InProcessSystem:
    """Unpack the archive of `model`, to call its code without a server."""
    unpacked = folder / "unpacked" / model
    with zipfile.ZipFile(store / f"{model}.mar") as archive:
        archive.extractall(unpacked)
    return InProcessSystem(model, unpacked, photo)


def _own_system(model: str, photo: Path) -> HttpSystem:
    settings = Settings.from_environment()
    server = find_server(settings)
    if server is None:
        raise BenchmarkError("the service has ended")
    client = Client(settings.inference_url, settings.management_url, settings.key_file)
    workers = [psutil.Process(int(worker["pid"])) for worker in client.describe(model)[0]["workers"]]
    frontend = psutil.Process(server.pid)
    url = f"{settings.inference_url}/predictions/{model}"
    token = client.token("inference")
    target = Target(url, photo, "application/octet-stream", token, [frontend, *workers])
    return HttpSystem("this service", model, target)


@contextmanager
def _uvicorn(module: str, weights: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Start an application in one uvicorn process and wait until it is healthy. Yields its URL and process."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--factory", f"{module}:create_app", "--port", str(port)]
    environment = {**os.environ, "WEIGHTS": str(weights), "YOLO_OFFLINE": "True"}
    log = weights.parent / f"{module}.log"
    with log.open("w") as output:
        started = subprocess.Popen(
            [*command, "--no-access-log"], env=environment, stdout=output, stderr=output, cwd=weights.parent
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while not _is_healthy(url):
            if started.poll() is not None or time.monotonic() > deadline:
                raise BenchmarkError(f"{module} did not start: {log.read_text()[-500:]}")
            time.sleep(0.2)
        yield url, psutil.Process(started.pid)
    finally:
        started.terminate()
        started.wait(30)


def _is_healthy(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=2).ok
    except requests.RequestException:
        return False
