"""Three replicas behind a proxy: replaced, killed and swapped under the load of eight clients."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.client import Client
from service.errors import InvalidToken, Refused
from support.clients import CLIENTS
from support.kubernetes.proxies import MANAGEMENT, OTHER
from support.pictures import crowded
from support.running_service import embedded_archive, environment_for
from support.stack.replicas import Replicas, replicas
from support.stack.stack import Stack, docker
from support.stack.traffic import traffic_at
from support.waiting import wait_for


@pytest.fixture(scope="module")
def served(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    """Replicas whose store has two versions. The fixture `stack` has built their image."""
    del stack
    folder = tmp_path_factory.mktemp("replicas")
    environment = environment_for(folder)
    store = Path(environment["MODEL_STORE"])
    shutil.copy2(embedded_archive("2.0"), store)
    for path in (store, *store.iterdir()):
        path.chmod(0o755)
    for parent in list(folder.parents)[:2]:
        parent.chmod(0o755)  # the user of the containers needs access
    with replicas(folder, store, 3) as started:
        yield started


def test_every_replica_accepts_the_token_and_refuses_others(served: Replicas, tmp_path: Path) -> None:
    for url in (served.url, *(f"http://127.0.0.1:{pod.ports[8080]}" for pod in served.pods)):
        client = Client(url, key_file=served.key_file)
        assert len(client.detect("shapes", crowded()).detections) >= 4
        # As a form: its fields are named by headers, whose spelling a proxy may change.
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
    with traffic_at(served.url, served.key_file, served.write_tokens) as counts:
        for index in range(len(served.pods)):
            served.replace(index)
    print(counts.summary("all replicas replaced"))
    assert not counts.failed


def test_a_killed_replica_loses_at_most_its_requests_in_progress(served: Replicas) -> None:
    try:
        with traffic_at(served.url, served.key_file, served.write_tokens) as counts:
            docker("kill", "--signal", "KILL", served.pods[0].name)
            served.wait_for_state(0, "DOWN")
    finally:
        served.pods[0].start()
        served.wait_for_state(0, "UP")
    print(counts.summary("a replica killed"))
    # Requests in progress fail with 502; later ones cannot connect until the Service notices.
    assert counts.failed["Failed 502"] + counts.failed["Unreachable"] <= CLIENTS
    assert set(counts.failed) <= {"Failed 502", "Busy 503", "Unreachable"}


def test_a_swap_reaches_every_replica_and_fails_no_request(served: Replicas) -> None:
    with traffic_at(served.url, served.key_file, served.write_tokens) as counts:
        served.request_version("2.0", "shapes-2.0.mar")
        wait_for(lambda: all(pod.versions() == {"2.0": 1} for pod in served.pods))
    print(counts.summary("a swap on all replicas"), dict(counts.versions))
    assert not counts.failed
    assert counts.versions["2.0"] > 0
    with traffic_at(served.url, served.key_file, served.write_tokens) as after:
        pass
    assert set(after.versions) == {"2.0"}
