"""Faults under the load of eight clients. No answer is wrong, and the service recovers by itself.

Each test prints (with -s) the failed attempts, by kind, and over how many seconds they occurred.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from support.browser.visits import rows_of, upload, visiting
from support.pictures import crowded, encoded
from support.stack.stack import READY_SECONDS, Stack, docker
from support.stack.traffic import traffic
from support.waiting import wait_for

MAX_BATCH = 4  # requests that a worker has at once
# The errors that clients get while a server restarts.
RESTART_ERRORS = {"Unreachable", "InvalidToken", "InvalidToken 400", "TimedOut"}


@pytest.fixture(autouse=True)
def healthy(stack: Stack) -> Iterator[None]:
    """The stack is healthy before each fault, and recovers from it by itself."""
    stack.wait_for_health("healthy", READY_SECONDS)
    yield
    stack.wait_for_health("healthy", READY_SECONDS)


def test_a_killed_worker_loses_at_most_its_batch(stack: Stack) -> None:
    victims = stack.pids("model_service_worker")
    assert len(victims) >= 2
    with traffic(stack) as counts:
        stack.kill(worker_of(stack, "shapes"))
    print(counts.summary("a worker killed"))
    assert sum(counts.failed.values()) <= MAX_BATCH
    assert all(kind.split()[-1].startswith("5") for kind in counts.failed)


def worker_of(stack: Stack, model: str) -> int:
    """The id of one of a model's workers, inside the container."""
    entry = json.loads(stack.management("GET", f"/models/{model}")[1])[0]
    return int(entry["workers"][0]["pid"])


def test_the_loss_of_every_worker_is_reported_within_half_a_minute(stack: Stack) -> None:
    # The workers cannot restart, because their network is renamed.
    code = (
        "import os, pathlib, signal, sys\n"
        "for path in pathlib.Path('/tmp').glob('*/models/*/model.xml'): path.rename(path.with_suffix('.away'))\n"
        "for pid in sys.argv[1:]: os.kill(int(pid), 9)\n"
    )
    stack.python("torchserve", code, *map(str, stack.pids("model_service_worker")))
    seconds = stack.wait_for_health("unhealthy", 30)
    print(f"unhealthy {seconds:.0f} s after the loss of the last worker")
    code = (
        "import pathlib\nfor p in pathlib.Path('/tmp').glob('*/models/*/model.away'): p.rename(p.with_suffix('.xml'))"
    )
    stack.python("torchserve", code)
    print(f"healthy again after {stack.wait_for_health('healthy', 120):.0f} s")


def test_a_killed_server_restarts_with_its_registrations(stack: Stack) -> None:
    status, text = stack.management("PUT", "/models/shapes?min_worker=3&max_worker=3&synchronous=true")
    assert status < 300, text
    before = scales(stack)
    assert before["shapes"] == [("1.0", 3)]
    wait_for(lambda: [entry["workers"] for entry in stack.saved() if entry["model"] == "shapes"] == [3])
    with traffic(stack) as counts:
        (jvm,) = stack.pids("org.pytorch.serve.ModelServer")
        started, killed = stack.started_at(), time.monotonic()
        stack.kill(jvm)
        wait_for(lambda: stack.started_at() != started)
        stack.wait_for_health("healthy", READY_SECONDS)
        print(f"healthy again after {time.monotonic() - killed:.1f} s")
        stack.client()
    print(counts.summary("the server killed"))
    assert {kind for kind in counts.failed if not kind.split()[-1].startswith("5")} <= RESTART_ERRORS
    assert scales(stack) == before
    status, text = stack.management("PUT", "/models/shapes?min_worker=2&max_worker=2&synchronous=true")
    assert status < 300, text


def scales(stack: Stack) -> dict[str, list[tuple[str, int]]]:
    return {model: [(version, ready) for version, ready, _ in entries] for model, entries in stack.registered().items()}


def test_a_restarted_container_answers_its_requests_in_progress(stack: Stack) -> None:
    with traffic(stack) as counts:
        docker("restart", stack.container("torchserve"))
        stack.wait_for_health("healthy", READY_SECONDS)
        stack.client()
    print(counts.summary("the container restarted"))
    assert set(counts.failed) <= RESTART_ERRORS | {"Busy 503"}


def test_a_full_tmpfs_fails_no_request(stack: Stack) -> None:
    code = (
        "try:\n"
        "    with open('/tmp/fill', 'wb') as file:\n"
        "        while True: file.write(bytes(1 << 20))\n"
        "except OSError as error: print(error.errno)\n"
    )
    with traffic(stack) as counts:
        assert stack.python("torchserve", code).stdout.strip() == "28"  # no space left
        stack.wait_for_probes(2)
        assert stack.health() == "healthy"
    stack.python("torchserve", "import os; os.remove('/tmp/fill')")
    print(counts.summary("the tmpfs filled"))
    assert not counts.failed


def test_an_archive_that_is_removed_while_it_is_served(stack: Stack) -> None:
    image = stack.inspect("torchserve")["Config"]["Image"]
    command = (
        "run",
        "--rm",
        "--volume",
        f"{stack.name}_model-store:/model-store",
        "--entrypoint",
        "python",
        image,
        "-c",
    )
    with traffic(stack) as counts:
        docker(*command, "import os; os.rename('/model-store/shapes.mar', '/model-store/away')")
        stack.wait_for_probes(2)
        assert stack.health() == "healthy"
    docker(*command, "import os; os.rename('/model-store/away', '/model-store/shapes.mar')")
    print(counts.summary("an archive removed"))
    assert not counts.failed


def test_the_page_recovers_when_the_network_to_the_server_does(stack: Stack, chromium: Browser) -> None:
    visits = visiting(chromium, stack.ui_url)
    page = next(visits)("models")
    expect(page.get_by_text("Version 1.0, ready, default").first).to_be_visible()
    network, ui = f"{stack.name}_internal", stack.container("ui")
    with traffic(stack) as counts:
        docker("network", "disconnect", network, ui)
        expect(page.get_by_text("The server does not answer").first).to_be_visible()
        docker("network", "connect", network, ui)
        expect(page.get_by_text("Version 1.0, ready, default").first).to_be_visible()
    data = crowded()
    detect = page.get_by_role("link", name="Detect").first
    detect.click()
    upload(page, ("crowded.jpg", data))
    assert rows_of(page, "Detections")
    print(counts.summary("the page disconnected"))
    assert not counts.failed
    assert next(visits, None) is None


def memory_used(stack: Stack) -> int:
    """The memory of TorchServe's container in bytes, from either version of cgroups."""
    code = (
        "import pathlib\n"
        "names = ('memory.current', 'memory/memory.usage_in_bytes')\n"
        "files = [pathlib.Path('/sys/fs/cgroup', name) for name in names]\n"
        "print(next(file for file in files if file.exists()).read_text())\n"
    )
    return int(stack.python("torchserve", code).stdout)


def test_a_worker_out_of_memory_ends_alone(stack: Stack) -> None:
    container = stack.container("torchserve")
    limit = stack.inspect("torchserve")["HostConfig"]["Memory"]
    (jvm,) = stack.pids("org.pytorch.serve.ModelServer")
    used = memory_used(stack)
    before = set(stack.pids("model_service_worker"))
    huge = encoded(1, "JPEG", (8000, 8000))
    with traffic(stack) as counts:
        docker("update", "--memory", str(used + 150_000_000), "--memory-swap", str(used + 150_000_000), container)
        other = stack.client(retries=0)
        for _ in range(10):
            try:
                other.detect(stack.models[-1], huge)
            except Exception as error:  # its worker was killed
                print(type(error).__name__, error)
            if set(stack.pids("model_service_worker")) != before:
                break
        docker("update", "--memory", str(limit), "--memory-swap", str(limit), container)
    print(counts.summary("a worker out of memory"))
    assert set(stack.pids("model_service_worker")) != before
    assert stack.pids("org.pytorch.serve.ModelServer") == [jvm]
