"""Three replicas behind a proxy: replaced, killed and swapped under the load of eight clients."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.client import Client, InvalidToken, Refused
from support.kubernetes.proxies import MANAGEMENT, OTHER
from support.pictures import crowded
from support.running_service import command, environment_for
from support.stack.replicas import Replicas, replicas
from support.stack.stack import Stack, docker
from support.stack.traffic import traffic_at
from support.swap_load import CLIENTS


@pytest.fixture(scope="module")
def served(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    """Replicas whose store has two versions. The stack has built their image."""
    del stack
    folder = tmp_path_factory.mktemp("replicas")
    environment = environment_for(folder)
    store = Path(environment["MODEL_STORE"])
    for version in ("1.0", "2.0"):
        words = ("archive", "shapes", "--version", version, "--model-store", str(store))
        done = command(*words, environment=environment)
        assert done.returncode == 0, done.stderr
    for path in (store, *store.iterdir()):
        path.chmod(0o755)
    for parent in list(folder.parents)[:2]:
        parent.chmod(0o755)  # the containers' user goes through them
    with replicas(folder, store, 3) as started:
        yield started


def test_one_token_opens_every_replica_and_another_none(served: Replicas, tmp_path: Path) -> None:
    for url in (served.url, *(f"http://127.0.0.1:{pod.ports[8080]}" for pod in served.pods)):
        client = Client(url, key_file=served.key_file)
        assert len(client.detect("shapes", crowded()).detections) >= 4
        # As a form, whose fields are named by headers that proxies write in their own way.
        assert len(client.detect("shapes", crowded(), max_detections=1).detections) == 1
        for wrong in (MANAGEMENT, "wrong"):
            key_file = tmp_path / "key_file.json"
            key_file.write_text(f'{{"inference": {{"key": "{wrong}"}}}}')
            with pytest.raises((InvalidToken, Refused)) as caught:
                Client(url, key_file=key_file).detect("shapes", crowded())
            assert caught.value.status == 401
        key_file.write_text(f'{{"inference": {{"key": "{OTHER}"}}}}')
        assert Client(url, key_file=key_file).detect("shapes", crowded()).detections


def test_replacing_all_replicas_one_by_one_fails_no_request(served: Replicas) -> None:
    with traffic_at(served.url, served.key_file, served.write_tokens) as found:
        for index in range(len(served.pods)):
            served.replace(index)
    print(found.summary("all replicas replaced"))
    assert not found.failed


def test_a_killed_replica_costs_what_it_had_in_work_at_most(served: Replicas) -> None:
    try:
        with traffic_at(served.url, served.key_file, served.write_tokens) as found:
            docker("kill", "--signal", "KILL", served.pods[0].name)
            time.sleep(5)
    finally:
        served.pods[0].start()
        time.sleep(1.5)
    print(found.summary("a replica killed"))
    # What it had is lost and told so; who came before the Service noticed was not let in.
    assert found.failed["Failed 502"] + found.failed["Unreachable"] <= CLIENTS
    assert set(found.failed) <= {"Failed 502", "Busy 503", "Unreachable"}


def test_a_swap_reaches_every_replica_and_fails_no_request(served: Replicas) -> None:
    with traffic_at(served.url, served.key_file, served.write_tokens) as found:
        served.ask_for("2.0", "shapes-2.0.mar")
        deadline = time.monotonic() + 90
        while any(pod.versions() != {"2.0": 1} for pod in served.pods):
            assert time.monotonic() < deadline, docker("logs", served.pods[0].name).stderr
            time.sleep(0.5)
    print(found.summary("a swap on all replicas"), dict(found.versions))
    assert not found.failed
    assert found.versions["2.0"] > 0
    with traffic_at(served.url, served.key_file, served.write_tokens) as after:
        pass
    assert set(after.versions) == {"2.0"}
