"""Puts load on a server with wrk, which itself needs very little CPU time."""

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
TIMEOUT_SECONDS = 120
MAX_IDLE_SHARE = 0.03  # of one core, over IDLE_SECONDS
IDLE_SECONDS = 0.5
MAX_WAIT_SECONDS = 180.0


class BenchmarkError(Exception):
    """The benchmark cannot continue. The message is for the user."""


@dataclass(frozen=True)
class Target:
    """A request to send, and the processes that serve it, whose CPU time and memory are measured."""

    url: str
    body: Path
    content_type: str
    token: str | None
    processes: Sequence[psutil.Process]


@dataclass(frozen=True)
class Sample:
    """The result of one run.

    requests: answered with 200 within `seconds`. failures: all others. cpu_seconds: CPU time of `requests`.
    p50, p95, p99: latencies in seconds.
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
    """Raises BenchmarkError if wrk is not installed."""
    if shutil.which("wrk") is None:
        raise BenchmarkError("wrk was not found; it is needed to create the load. On Debian: apt install wrk")


def run_load(target: Target, clients: int, seconds: float) -> Sample:
    """Send requests over `clients` connections for some seconds, each after the answer to the one before."""
    environment = {**os.environ, "BODY": str(target.body), "CONTENT_TYPE": target.content_type}
    if target.token:
        environment["TOKEN"] = target.token
    command = ["wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", f"--timeout={TIMEOUT_SECONDS}s"]
    before = _cpu_seconds(target.processes)
    done = subprocess.run(
        [*command, "-s", str(SCRIPT), target.url], env=environment, capture_output=True, text=True, check=False
    )
    cpu = _cpu_seconds(target.processes) - before
    if done.returncode != 0:
        raise BenchmarkError(f"wrk failed on {target.url}: {done.stderr.strip() or done.stdout.strip()}")
    output = json.loads(done.stdout.splitlines()[-1])
    answered = sorted(output.pop("answered"))
    requests, steady_seconds = steady_state(answered, clients)
    resident = sum(process.memory_info().rss for process in target.processes)
    wait_until_idle(target.processes)
    # Requests in progress at the end have used CPU time, too: on average half of their total.
    return Sample(
        requests,
        seconds=steady_seconds,
        cpu_seconds=cpu / (len(answered) + clients / 2) * requests,
        resident_bytes=resident,
        **output,
    )


def steady_state(answered: Sequence[float], clients: int) -> tuple[int, float]:
    """Number of requests, and seconds, from the first answer of each client to the last answer of all.

    answered: times of the answers in seconds, sorted. strategy: at the end `clients` requests are in progress. Counting
    the answers within a fixed time ignores these, which is a larger share of a slow server's work than of a fast one's.
    """
    if len(answered) < 2 * clients:
        raise BenchmarkError(f"{len(answered)} answers to {clients} clients are too few to measure; increase --seconds")
    return len(answered) - clients, answered[-1] - answered[clients - 1]


def wait_until_idle(processes: Sequence[psutil.Process]) -> None:
    """Wait until the processes have finished the requests of the last load, which would slow down the next one."""
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while time.monotonic() < deadline:
        before = _cpu_seconds(processes)
        time.sleep(IDLE_SECONDS)
        if _cpu_seconds(processes) - before <= MAX_IDLE_SHARE * IDLE_SECONDS:
            return
    raise BenchmarkError(f"a server is still busy {MAX_WAIT_SECONDS:.0f} s after its load ended")


def _cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
