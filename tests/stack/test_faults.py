"""Faults under the load of eight clients. No answer is ever wrong, and the service is whole again by itself.

Each test prints what it cost (with -s): tries that failed and how, and over how many seconds.
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

BATCH = 4  # what a worker holds at most
# How clients see a server that is away, and then a new one.
GONE = {"Unreachable", "InvalidToken", "InvalidToken 400", "TimedOut"}


@pytest.fixture(autouse=True)
def whole(stack: Stack) -> Iterator[None]:
    """Each fault meets a healthy stack, and leaves one behind by itself."""
    stack.wait_for_health("healthy", READY_SECONDS)
    yield
    stack.wait_for_health("healthy", READY_SECONDS)


def test_a_killed_worker_loses_its_batch_at_most(stack: Stack) -> None:
    victims = stack.pids("model_service_worker")
    assert len(victims) >= 2
    with traffic(stack) as found:
        stack.kill(worker_of(stack, "shapes"))
    print(found.summary("a worker killed"))
    assert sum(found.failed.values()) <= BATCH
    assert all(kind.split()[-1].startswith("5") for kind in found.failed)


def worker_of(stack: Stack, model: str) -> int:
    """The id of one of a model's workers, inside the container."""
    entry = json.loads(stack.management("GET", f"/models/{model}")[1])[0]
    return int(entry["workers"][0]["pid"])


def test_losing_every_worker_shows_within_half_a_minute(stack: Stack) -> None:
    # Workers that cannot start again: what they start from is gone.
    code = (
        "import os, pathlib, signal, sys\n"
        "for path in pathlib.Path('/tmp').glob('*/models/*/model.xml'): path.rename(path.with_suffix('.away'))\n"
        "for pid in sys.argv[1:]: os.kill(int(pid), 9)\n"
    )
    stack.python("torchserve", code, *map(str, stack.pids("model_service_worker")))
    took = stack.wait_for_health("unhealthy", 30)
    print(f"unhealthy {took:.0f} s after the last worker was lost")
    code = (
        "import pathlib\nfor p in pathlib.Path('/tmp').glob('*/models/*/model.away'): p.rename(p.with_suffix('.xml'))"
    )
    stack.python("torchserve", code)
    print(f"whole again after {stack.wait_for_health('healthy', 120):.0f} s")


def test_a_killed_server_comes_back_with_what_was_registered(stack: Stack) -> None:
    status, text = stack.management("PUT", "/models/shapes?min_worker=3&max_worker=3&synchronous=true")
    assert status < 300, text
    before = scales(stack)
    assert before["shapes"] == [("1.0", 3)]
    time.sleep(6)  # it is written down every five seconds
    with traffic(stack) as found:
        (jvm,) = stack.pids("org.pytorch.serve.ModelServer")
        started, killed = stack.started_at(), time.monotonic()
        stack.kill(jvm)
        while stack.started_at() == started:
            assert time.monotonic() - killed < 30
            time.sleep(0.2)
        stack.wait_for_health("healthy", READY_SECONDS)
        print(f"healthy again after {time.monotonic() - killed:.1f} s")
        stack.client()
    print(found.summary("the server killed"))
    assert {kind for kind in found.failed if not kind.split()[-1].startswith("5")} <= GONE
    assert scales(stack) == before
    status, text = stack.management("PUT", "/models/shapes?min_worker=2&max_worker=2&synchronous=true")
    assert status < 300, text


def scales(stack: Stack) -> dict[str, list[tuple[str, int]]]:
    return {model: [(version, ready) for version, ready, _ in entries] for model, entries in stack.registered().items()}


def test_a_restarted_container_answers_what_it_had_in_work(stack: Stack) -> None:
    with traffic(stack) as found:
        docker("restart", stack.container("torchserve"))
        stack.wait_for_health("healthy", READY_SECONDS)
        stack.client()
    print(found.summary("the container restarted"))
    assert set(found.failed) <= GONE | {"Busy 503"}


def test_a_full_tmpfs_fails_no_request(stack: Stack) -> None:
    code = (
        "try:\n"
        "    with open('/tmp/fill', 'wb') as file:\n"
        "        while True: file.write(bytes(1 << 20))\n"
        "except OSError as error: print(error.errno)\n"
    )
    with traffic(stack) as found:
        assert stack.python("torchserve", code).stdout.strip() == "28"  # no space left
        time.sleep(8)
        assert stack.health() == "healthy"
    stack.python("torchserve", "import os; os.remove('/tmp/fill')")
    print(found.summary("the tmpfs filled"))
    assert not found.failed


def test_an_archive_that_is_removed_while_it_is_served(stack: Stack) -> None:
    image = stack.inspect("torchserve")["Config"]["Image"]
    words = ("run", "--rm", "--volume", f"{stack.name}_model-store:/model-store", "--entrypoint", "python", image, "-c")
    with traffic(stack) as found:
        docker(*words, "import os; os.rename('/model-store/shapes.mar', '/model-store/away')")
        time.sleep(8)
        assert stack.health() == "healthy"
    docker(*words, "import os; os.rename('/model-store/away', '/model-store/shapes.mar')")
    print(found.summary("an archive removed"))
    assert not found.failed


def test_the_page_recovers_when_the_network_to_the_server_does(stack: Stack, chromium: Browser) -> None:
    visits = visiting(chromium, stack.ui_url)
    page = next(visits)("models")
    expect(page.get_by_text("Version 1.0, ready, default").first).to_be_visible()
    network, ui = f"{stack.name}_internal", stack.container("ui")
    with traffic(stack) as found:
        docker("network", "disconnect", network, ui)
        expect(page.get_by_text("The server does not answer").first).to_be_visible()
        docker("network", "connect", network, ui)
        expect(page.get_by_text("Version 1.0, ready, default").first).to_be_visible()
    data = crowded()
    detect = page.get_by_role("link", name="Detect").first
    detect.click()
    upload(page, ("crowded.jpg", data))
    assert rows_of(page, "Detections")
    print(found.summary("the page cut off"))
    assert not found.failed
    assert next(visits, None) is None


def memory_used(stack: Stack) -> int:
    """Bytes that count against the limit of TorchServe's container, by either version of cgroups."""
    code = (
        "import pathlib\n"
        "names = ('memory.current', 'memory/memory.usage_in_bytes')\n"
        "files = [pathlib.Path('/sys/fs/cgroup', name) for name in names]\n"
        "print(next(file for file in files if file.exists()).read_text())\n"
    )
    return int(stack.python("torchserve", code).stdout)


def test_a_worker_out_of_memory_takes_nobody_with_it(stack: Stack) -> None:
    container = stack.container("torchserve")
    limit = stack.inspect("torchserve")["HostConfig"]["Memory"]
    (jvm,) = stack.pids("org.pytorch.serve.ModelServer")
    used = memory_used(stack)
    before = set(stack.pids("model_service_worker"))
    huge = encoded(1, "JPEG", (8000, 8000))
    with traffic(stack) as found:
        docker("update", "--memory", str(used + 150_000_000), "--memory-swap", str(used + 150_000_000), container)
        other = stack.client(retries=0)
        for _ in range(10):
            try:
                other.detect(stack.models[-1], huge)
            except Exception as error:  # the worker that had it is gone
                print(type(error).__name__, error)
            if set(stack.pids("model_service_worker")) != before:
                break
        docker("update", "--memory", str(limit), "--memory-swap", str(limit), container)
    print(found.summary("a worker out of memory"))
    assert set(stack.pids("model_service_worker")) != before
    assert stack.pids("org.pytorch.serve.ModelServer") == [jvm]
