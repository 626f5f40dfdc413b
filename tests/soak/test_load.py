"""The service under more load than it can carry, and after very many requests.

SOAK_SECONDS (60) and SOAK_REQUESTS (10,000) set the length, SOAK_MODEL the model: yolov5n where its weights are
available, else shapes.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.load import (
    ask_at_once,
    at_most,
    disk_bytes,
    footprints,
    hang_up,
    latency,
    lone_answers,
    seconds_until_settled,
)  # fmt: skip
from support.running_service import Service, environment_for, running

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
REQUESTS = int(os.environ.get("SOAK_REQUESTS", "10000"))
SETTLED_SECONDS = 5.0
MAX_MEMORY_GROWTH = 0.05
STEPS, AVERAGED_STEPS = 10, 3  # measurements of the processes, and how many at each end are averaged
MAX_FILES_GROWTH = 4


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A fresh service with one model and default settings."""
    with running([model_name()], environment_for(tmp_path)) as started:
        yield started


def model_name() -> str:
    folders = [Path(folder) for folder in os.environ.get("YOLOV5_WEIGHTS_DIR", "").split(os.pathsep) if folder]
    available = any((folder / "yolov5n.pt").is_file() for folder in folders)
    return os.environ.get("SOAK_MODEL", "yolov5n" if available else "shapes")


@pytest.mark.parametrize("clients", [64, 160])
def test_every_request_is_answered_or_rejected_with_503(service: Service, clients: int) -> None:
    cases = lone_answers(service, 24)
    workers = service.worker_pids(service.models[0])
    normal = latency(service, cases[0], 20)
    deadline = time.monotonic() + SECONDS
    started = time.monotonic()
    outcomes = ask_at_once(service, cases, clients, lambda: time.monotonic() < deadline)
    spent = time.monotonic() - started
    settled, after = seconds_until_settled(service, cases[0], normal)
    print(
        f"\n{service.models[0]}, {clients} clients for {spent:.0f} s: {outcomes.most_common(6)}, "
        f"{outcomes['answered'] / spent:.1f} answers/s; a lone client: {1000 * normal:.0f} ms before, "
        f"{1000 * after:.0f} ms after, {settled:.1f} s after the load"
    )
    assert set(outcomes) <= {"answered", "busy"}, outcomes
    assert outcomes["answered"] > SECONDS
    # The queue holds 100, each of the workers a batch or two besides.
    assert (outcomes["busy"] > 0) == (clients > 100)
    assert settled <= SETTLED_SECONDS
    assert service.worker_pids(service.models[0]) == workers


def test_clients_that_hang_up_delay_others_only_briefly(service: Service) -> None:
    cases = lone_answers(service, 24)
    workers = service.worker_pids(service.models[0])
    normal = latency(service, cases[0], 20)
    before = footprints(service)
    for number in range(64):
        hang_up(service, cases[number % len(cases)].picture)
    settled, after = seconds_until_settled(service, cases[0], normal)
    held = footprints(service)
    print(
        f"\n{service.models[0]}, 64 clients that hung up: a lone client: {1000 * normal:.0f} ms before, "
        f"{1000 * after:.0f} ms after, {settled:.1f} s after they were gone; {held}"
    )
    assert settled <= SETTLED_SECONDS
    assert held["JVM"].files <= before["JVM"].files + MAX_FILES_GROWTH
    assert service.worker_pids(service.models[0]) == workers


def test_memory_open_files_and_disk_do_not_grow(service: Service) -> None:
    cases = lone_answers(service, 100)
    logs_before, disk_before = disk_bytes(service)
    started = time.monotonic()
    outcomes: Counter[str] = Counter()
    history = []
    for _ in range(STEPS):
        outcomes += ask_at_once(service, cases, 8, at_most(REQUESTS // STEPS))
        history.append(footprints(service))
    print(
        f"\n{service.models[0]}, {outcomes.total()} requests of 8 clients in {time.monotonic() - started:.0f} s, "
        f"{outcomes.most_common(6)}; after each {REQUESTS // STEPS} of them"
    )
    logs_after, disk_after = disk_bytes(service)
    print(f"  disk: logs {logs_before} -> {logs_after} bytes, the rest {disk_before} -> {disk_after}")
    for name in history[0]:
        held = [step[name] for step in history if name in step]
        print(f"  {name}: MB {[round(each.resident / 1e6) for each in held]}, files {[each.files for each in held]}")
    assert outcomes == {"answered": REQUESTS // STEPS * STEPS}
    assert disk_after == disk_before
    assert logs_after - logs_before < 200 * outcomes.total()  # a line a request
    assert all(step.keys() == history[0].keys() for step in history)  # no worker was replaced
    for name in history[0]:
        files = [step[name].files for step in history]
        assert files[-1] <= files[0] + MAX_FILES_GROWTH, name
        # strategy: the memory that a process keeps varies by some percent between measurements, so means are compared.
        resident = [step[name].resident for step in history]
        growth = statistics.mean(resident[-AVERAGED_STEPS:]) / statistics.mean(resident[:AVERAGED_STEPS]) - 1
        assert growth < MAX_MEMORY_GROWTH, f"{name}: {100 * growth:.1f} %"
