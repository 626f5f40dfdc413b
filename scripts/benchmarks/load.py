"""Load on a server by wrk, which takes next to nothing of the cores that are measured."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

SCRIPT = Path(__file__).parent / "request.lua"
TIMEOUT = 120
IDLE_SHARE = 0.03  # of a core, over IDLE_SECONDS
IDLE_SECONDS = 0.5
WAIT_SECONDS = 180.0


class BenchmarkError(Exception):
    """The benchmark cannot go on, in words for the user."""


@dataclass(frozen=True)
class Target:
    """Where one kind of request goes, and the processes that serve it.

    `processes` are those whose CPU time and memory count.
    """

    url: str
    body: Path
    content_type: str
    token: str | None
    processes: Sequence[psutil.Process]


@dataclass(frozen=True)
class Sample:
    """What one run reached. `requests` were answered with success in `seconds`, `failures` were not.

    `cpu_seconds` is the CPU time that those took. Latencies in seconds.
    """

    requests: int
    failures: int
    seconds: float
    cpu_seconds: float
    resident_bytes: int
    p50: float
    p95: float
    p99: float


def require_wrk() -> None:
    """Raises BenchmarkError where there is no wrk."""
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk was not found; it makes the load. On Debian: apt install wrk")


def run_load(target: Target, clients: int, seconds: float) -> Sample:
    """`clients` connections for some seconds, each sending its next request when the last is answered."""
    environment = {**os.environ, "BODY": str(target.body), "CONTENT_TYPE": target.content_type}
    if target.token:
        environment["TOKEN"] = target.token
    command = ["wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", f"--timeout={TIMEOUT}s"]
    before = _cpu_seconds(target.processes)
    done = subprocess.run(
        [*command, "-s", str(SCRIPT), target.url], env=environment, capture_output=True, text=True, check=False
    )
    cpu = _cpu_seconds(target.processes) - before
    if done.returncode != 0:
        raise BenchmarkError(f"wrk failed on {target.url}: {done.stderr.strip() or done.stdout.strip()}")
    found = json.loads(done.stdout.splitlines()[-1])
    answered = sorted(found.pop("answered"))
    requests, spent = steady(answered, clients)
    resident = sum(process.memory_info().rss for process in target.processes)
    wait_until_idle(target.processes)
    # What was in work when the time was up has cost its part too: on average, half of it.
    return Sample(
        requests,
        seconds=spent,
        cpu_seconds=cpu / (len(answered) + clients / 2) * requests,
        resident_bytes=resident,
        **found,
    )


def steady(answered: Sequence[float], clients: int) -> tuple[int, float]:
    """Requests and seconds between the first answer to each client and the last answer of all.

    strategy: a load begins with nothing done and ends with `clients` requests in work. Counting those of a fixed time
    would take as many from a slow server as from a fast one.
    """
    if len(answered) < 2 * clients:
        raise BenchmarkError(
            f"{len(answered)} answers to {clients} clients are too few to measure; give it more seconds"
        )
    return len(answered) - clients, answered[-1] - answered[clients - 1]


def wait_until_idle(processes: Sequence[psutil.Process]) -> None:
    """Until what a load left unfinished is done, so that it does not slow down the next one."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        before = _cpu_seconds(processes)
        time.sleep(IDLE_SECONDS)
        if _cpu_seconds(processes) - before <= IDLE_SHARE * IDLE_SECONDS:
            return
    raise BenchmarkError(f"a server is still busy {WAIT_SECONDS:.0f} s after its load ended")


def _cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
