"""What is compared: each started as its users would start it, and all of them there at once, one under load."""

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

from benchmarks.load import BenchmarkError, Sample, Target, run_load
from benchmarks.subjects import Subject
from server.runtime.settings import ROOT, Settings
from server.runtime.torchserve import find, free_port
from service.client import Client

START_SECONDS = 180.0
Design = Literal["this service", "first version", "ultralytics export", "in-process"]


class Contestant(Protocol):
    """Something to put under load."""

    @property
    def design(self) -> Design:
        """Whose it is."""
        ...

    @property
    def model(self) -> str:
        """The network and its precision."""
        ...

    def run(self, clients: int, seconds: float) -> Sample:
        """Requests of `clients` at once, for some seconds."""
        ...


@dataclass(frozen=True)
class Served:
    """A contestant behind HTTP."""

    design: Design
    model: str
    target: Target

    def run(self, clients: int, seconds: float) -> Sample:
        """See Contestant."""
        return run_load(self.target, clients, seconds)


@dataclass(frozen=True)
class InProcess:
    """The ceiling: an archive's own code called in a loop."""

    model: str
    folder: Path
    photo: Path
    design: Design = "in-process"

    def run(self, clients: int, seconds: float) -> Sample:
        """See Contestant."""
        mode = "lone" if clients == 1 else "many"
        words = [sys.executable, "-m", "benchmarks.in_process"]
        words += [str(self.folder), str(self.photo), str(seconds), mode]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BenchmarkError(f"in-process {self.model} failed: {done.stderr.strip()[-500:]}")
        return Sample(**json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def this_service(models: Sequence[str], photo: Path) -> Iterator[list[Served]]:
    """The archives of the store served by scripts/up, each as a contestant."""
    command = [sys.executable, "-m", "server.commands.up", "--detach", "--no-ui", "--models", ",".join(models)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"scripts/up failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    try:
        yield [_served_by_us(model, photo) for model in models]
    finally:
        subprocess.run([sys.executable, "-m", "server.commands.down"], cwd=ROOT, capture_output=True, check=False)


@contextmanager
def first_version(subject: Subject, photo: Path, folder: Path) -> Iterator[Served]:
    """See first_version.py."""
    body = folder / "request.json"
    body.write_text(json.dumps({"model": subject.variant, "image": base64.b64encode(photo.read_bytes()).decode()}))
    with _uvicorn("benchmarks.first_version", subject.weights) as (url, process):
        target = Target(f"{url}/predict", body, "application/json", None, [process])
        yield Served("first version", subject.variant, target)


@contextmanager
def ultralytics_export(subject: Subject, photo: Path) -> Iterator[Served]:
    """See ultralytics_export.py."""
    exported = subject.anchor_free.with_name(f"{subject.anchor_free.stem}_openvino_model")
    if not exported.is_dir():
        words = [sys.executable, "-m", "benchmarks.ultralytics_export", str(subject.anchor_free)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not exported.is_dir():
            raise BenchmarkError(f"ultralytics did not export {subject.anchor_free}: {done.stderr[-500:]}")
    with _uvicorn("benchmarks.ultralytics_export", exported) as (url, process):
        target = Target(f"{url}/predict", photo, "application/octet-stream", None, [process])
        yield Served("ultralytics export", f"{subject.variant}u", target)


def in_process(model: str, photo: Path, store: Path, folder: Path) -> InProcess:
    """The archive `model` unpacked, to be called without a server."""
    unpacked = folder / "unpacked" / model
    with zipfile.ZipFile(store / f"{model}.mar") as archive:
        archive.extractall(unpacked)
    return InProcess(model, unpacked, photo)


def _served_by_us(model: str, photo: Path) -> Served:
    settings = Settings.from_environment()
    server = find(settings)
    if server is None:
        raise BenchmarkError("the service ended by itself")
    client = Client(settings.inference_url, settings.management_url, settings.key_file)
    workers = [psutil.Process(int(worker["pid"])) for worker in client.describe(model)[0]["workers"]]
    frontend = psutil.Process(server.pid)
    url = f"{settings.inference_url}/predictions/{model}"
    token = client.token("inference")
    target = Target(url, photo, "application/octet-stream", token, [frontend, *workers])
    return Served("this service", model, target)


@contextmanager
def _uvicorn(module: str, weights: Path) -> Iterator[tuple[str, psutil.Process]]:
    """One process of an application, until it is healthy."""
    port = free_port()
    words = [sys.executable, "-m", "uvicorn", "--factory", f"{module}:create_app", "--port", str(port)]
    environment = {**os.environ, "WEIGHTS": str(weights), "YOLO_OFFLINE": "True"}
    log = weights.parent / f"{module}.log"
    with log.open("w") as output:
        started = subprocess.Popen(
            [*words, "--no-access-log"], env=environment, stdout=output, stderr=output, cwd=weights.parent
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
