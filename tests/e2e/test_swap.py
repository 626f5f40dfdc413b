"""Changing the served versions while clients send requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.errors import Refused, ServiceError
from service.operator import InvalidAction, Operator
from service.swap import Step, SwapFailed, hot_swap
from support.running_service import Service, running
from support.swap_load import PICTURE, load_on, stocked_environment, versions


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`shapes` 1.0 with two workers."""
    with running(["shapes"], stocked_environment(tmp_path_factory.mktemp("swap"), WORKERS_PER_MODEL="2")) as started:
        yield started


def test_a_swap_under_load_fails_no_request(service: Service) -> None:
    before = service.client.describe_model("shapes").default_version
    archive, after = ("shapes-2.0.mar", "2.0") if before == "1.0" else ("shapes.mar", "1.0")
    with load_on(service) as load:
        steps = list(hot_swap(Operator(service.client), "shapes", archive, PICTURE))
        swapped = time.monotonic()
    assert load.failures == []
    assert set(load.versions) == {before, after}
    assert load.last_answer_at[before] < swapped
    assert versions(service) == {after: ("ready", 2)}
    names = [step.name for step in steps if step.state == "done"]
    assert names == ["Register", "Wait until ready", "Try a picture", "Set default", "Drain", "Remove"]


def test_a_swap_to_a_broken_archive_is_rolled_back(service: Service) -> None:
    before = versions(service)
    (version,) = before
    steps: list[Step] = []
    with load_on(service) as load, pytest.raises(SwapFailed, match=f"Nothing has changed: version {version} of shapes"):
        steps.extend(hot_swap(Operator(service.client), "shapes", "broken.mar", PICTURE))
    assert load.failures == []
    assert set(load.versions) == {version}
    assert versions(service) == before
    assert [step.name for step in steps if step.state == "failed"] == ["Register"]
    assert (steps[-1].name, steps[-1].state) == ("Roll back", "done")


def test_a_swap_to_a_version_that_cannot_answer_is_rolled_back(service: Service) -> None:
    before = versions(service)
    with load_on(service) as load, pytest.raises(SwapFailed, match="Nothing has changed"):
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
        with pytest.raises(ServiceError):  # the server refuses it too
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
