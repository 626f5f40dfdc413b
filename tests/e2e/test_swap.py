"""Changing what is served while clients keep asking."""

from __future__ import annotations

import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from client import Client, Refused, ServiceError
from operation import InvalidAction, Operator
from pictures import encoded
from running import Service, command, environment_for, running
from swap import Step, SwapFailed, hot_swap

CLIENTS = 8
PICTURE = encoded(0, "PNG", (320, 240))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`shapes` 1.0 with two workers, and in the store 2.0, 3.0 and one whose network is damaged."""
    folder = tmp_path_factory.mktemp("swap")
    environment = environment_for(folder, UI_OPERATOR_PASSWORD="secret", WORKERS_PER_MODEL="2")
    store = Path(environment["MODEL_STORE"])
    for version in ("2.0", "3.0"):
        words = ("archive", "shapes", "--version", version, "--model-store", str(store))
        done = command(*words, environment=environment)
        assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(store / "shapes-3.0.mar") as whole, zipfile.ZipFile(store / "broken.mar", "w") as broken:
        for name in whole.namelist():
            broken.writestr(name, b"<net" if name == "model.xml" else whole.read(name).replace(b'"3.0"', b'"4.0"'))
    with running(["shapes"], environment) as started:
        yield started


class Load:
    """What clients that ask all the time were answered: how often each version did, and what failed."""

    def __init__(self) -> None:
        self.versions: Counter[str] = Counter()
        self.failures: list[str] = []
        self.last_seen: dict[str, float] = {}


@contextmanager
def asking(service: Service) -> Iterator[Load]:
    """Clients that post pictures for as long as the block runs, without ever trying a failed one again."""
    load, ending = Load(), threading.Event()

    def ask() -> None:
        client = Client(service.inference_url, key_file=service.run / "key_file.json", retries=0)
        while not ending.is_set():
            try:
                answer = client.detect("shapes", PICTURE)
            except ServiceError as error:
                load.failures.append(f"{type(error).__name__} {error.status}: {error}")
            else:
                load.versions[answer.version] += 1
                load.last_seen[answer.version] = time.monotonic()

    with ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(ask) for _ in range(CLIENTS)]
        try:
            time.sleep(0.5)
            yield load
            time.sleep(0.5)
        finally:
            ending.set()
    for each in clients:
        each.result()


def versions(service: Service) -> dict[str, tuple[str, int]]:
    """State and number of ready workers of each registered version."""
    model = service.client.describe_model("shapes")
    return {each.version: (each.state, each.ready_workers) for each in model.versions}


def test_a_swap_under_load_fails_no_request(service: Service) -> None:
    before = service.client.describe_model("shapes").default_version
    archive, after = ("shapes-2.0.mar", "2.0") if before == "1.0" else ("shapes.mar", "1.0")
    with asking(service) as load:
        steps = list(hot_swap(Operator(service.client), "shapes", archive, PICTURE))
        swapped = time.monotonic()
    assert load.failures == []
    assert set(load.versions) == {before, after}
    assert load.last_seen[before] < swapped
    assert versions(service) == {after: ("ready", 2)}
    names = [step.name for step in steps if step.state == "done"]
    assert names == ["Register", "Wait until ready", "Try a picture", "Set default", "Drain", "Remove"]


def test_a_swap_to_a_broken_archive_is_rolled_back(service: Service) -> None:
    before = versions(service)
    (version,) = before
    steps: list[Step] = []
    with asking(service) as load, pytest.raises(SwapFailed, match=f"Nothing has changed: version {version} of shapes"):
        steps.extend(hot_swap(Operator(service.client), "shapes", "broken.mar", PICTURE))
    assert load.failures == []
    assert set(load.versions) == {version}
    assert versions(service) == before
    assert [step.name for step in steps if step.state == "failed"] == ["Register"]
    assert (steps[-1].name, steps[-1].state) == ("Roll back", "done")


def test_a_swap_to_a_version_that_cannot_answer_is_rolled_back(service: Service) -> None:
    before = versions(service)
    with asking(service) as load, pytest.raises(SwapFailed, match="Nothing has changed"):
        list(hot_swap(Operator(service.client), "shapes", "shapes-3.0.mar", b"no picture"))
    assert load.failures == []
    assert versions(service) == before


def test_only_archives_of_the_store_are_registered(service: Service, tmp_path: Path) -> None:
    outside = tmp_path / "outside.mar"
    outside.write_bytes((Path(service.environment["MODEL_STORE"]) / "shapes-2.0.mar").read_bytes())
    before = versions(service)
    for url in (f"file://{outside}", f"../{outside.name}", str(outside), "http://127.0.0.1:9/x.mar", "", ".mar"):
        with pytest.raises(InvalidAction, match=r"expected the name of a \.mar file"):
            Operator(service.client).register(url)
        with pytest.raises(ServiceError):  # nor does the server itself take it
            service.client.call("management", "POST", "/models", params={"url": url}, retries=0)
    assert versions(service) == before


def test_workers_are_scaled_unloaded_and_loaded(service: Service) -> None:
    operator = Operator(service.client)
    version = service.client.describe_model("shapes").default_version
    operator.scale("shapes", version, 1)
    assert versions(service) == {version: ("ready", 1)}
    operator.unload("shapes", version)
    assert versions(service) == {version: ("unloaded", 0)}
    operator.load("shapes", version, 2)
    assert versions(service) == {version: ("ready", 2)}
    assert service.client.detect("shapes", PICTURE).version == version


def test_versions_are_registered_made_default_and_unregistered(service: Service) -> None:
    operator = Operator(service.client)
    before = service.client.describe_model("shapes").default_version
    operator.register("shapes-3.0.mar")
    assert versions(service) == {before: ("ready", 2), "3.0": ("ready", 1)}
    with pytest.raises(Refused, match="default version"):
        operator.unregister("shapes", before)
    operator.set_default("shapes", "3.0")
    assert service.client.detect("shapes", PICTURE).version == "3.0"
    operator.set_default("shapes", before)
    operator.unregister("shapes", "3.0")
    assert versions(service) == {before: ("ready", 2)}
