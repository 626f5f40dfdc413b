"""The rollback of a swap, with a stand-in for the client that fails where a test wants it to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from page.password import Gate, NotPermitted
from page.swap_job import SwapJobs
from service import drain as drain_module
from service import swap as swap_module
from service.answers import Answer, Detection
from service.client import Client
from service.errors import Failed, Refused, Unreachable
from service.operator import InvalidAction, Operator
from service.records import Model, Version, Worker
from service.swap import Step, SwapFailed, hot_swap


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain_module, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(drain_module, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(swap_module, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(swap_module, "START_SECONDS", 0.05)
    monkeypatch.setattr(drain_module, "DRAIN_SECONDS", 0.05)


class Service:
    """Versions of one model, each with its ready workers. Every archive is version 2.0."""

    def __init__(self, **faults: Exception | object) -> None:
        self.versions = {"1.0": 2}
        self.default = "1.0"
        self.faults = faults
        self.changes: list[str] = []
        self.descriptions = 0

    def _fault(self, name: str) -> None:
        fault = self.faults.get(name)
        if isinstance(fault, Exception):
            raise fault

    def call(self, _api: str, method: str, path: str, **arguments: Any) -> None:
        change = f"{method} {path}"
        self.changes.append(change)
        if method == "POST":
            self.versions["2.0"] = 0 if "register" in self.faults else arguments["params"]["initial_workers"]
            self._fault("register")
        elif path.endswith("/set-default"):
            self._fault("set_default")
            self.default = path.split("/")[-2]
        elif method == "DELETE":
            self._fault("delete " + path.rpartition("/")[2])
            del self.versions[path.rpartition("/")[2]]

    def describe_model(self, name: str) -> Model:
        self._fault("describe")
        stay = "stays_starting" in self.faults
        versions = tuple(
            Version(
                version, f"{version}.mar", count, count, 4, 1, int("queued " + version in self.faults), 100,
                tuple(
                    Worker(f"{version}-{number}", 10 + number, "UNLOADING" if stay and version == "2.0" else "READY",
                           0, "", False)
                    for number in range(count)
                ),
                True,
            )
            for version, count in self.versions.items()
        )  # fmt: skip
        return Model(name, versions, self.default)

    def describe(self, _model: str, version: str, customized: bool) -> list[dict[str, Any]]:
        self.descriptions += 1
        if "other_project" in self.faults:
            return [{"customizedMetadata": None}]
        return [{"customizedMetadata": {"worker": 10 + self.descriptions % self.versions[version]}}]

    def detect(self, model: str, _picture: bytes, version: str | None = None) -> Answer:
        self._fault("detect" if version else "detect_default")
        answering = self.faults.get("answers_as", version or self.default)
        box = self.faults.get("box", (1.0, 1.0, 5.0, 5.0))
        found = Detection(cast("tuple[float, float, float, float]", box), 0, "person", 0.5)
        return Answer(model, str(answering), 0.01, 0.02, (8, 6), (found,), {})


def swap(service: Service, check: Callable[[], None] = lambda: None) -> tuple[list[Step], str]:
    """The steps of a swap, and what it failed with."""
    steps: list[Step] = []
    try:
        for step in hot_swap(Operator(cast(Client, service), check), "m", "m-2.0.mar", b"picture"):
            steps.append(step)
    except SwapFailed as error:
        return steps, str(error)
    return steps, ""


def test_the_old_version_is_removed_after_each_of_its_workers_was_idle() -> None:
    service = Service()
    _, failure = swap(service)
    assert failure == ""
    assert (service.versions, service.default) == ({"2.0": 2}, "2.0")
    assert service.changes == ["POST /models", "PUT /models/m/2.0/set-default", "DELETE /models/m/1.0"]
    assert service.descriptions == 2


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ({"register": Failed("Failed to start workers", 500)}, "Failed to start workers"),
        ({"stays_starting": True}, "0 of 2 workers after"),
        ({"detect": Failed("Worker died.", 507)}, "Worker died"),
        ({"detect": Failed("not a detection document")}, "not a detection document"),
        ({"answers_as": "9.9"}, "2.0 was asked and m 9.9 answered"),
        ({"box": (1.0, 1.0, 9.0, 5.0)}, "impossible detection"),
        ({"box": (5.0, 1.0, 1.0, 5.0)}, "impossible detection"),
        ({"set_default": Refused("no", 403)}, "no"),
        ({"detect_default": Unreachable("no answer")}, "no answer"),
    ],
)
def test_after_any_failure_the_old_version_serves_as_before(faults: dict[str, Any], reason: str) -> None:
    service = Service(**faults)
    steps, failure = swap(service)
    assert (service.versions, service.default) == ({"1.0": 2}, "1.0")
    assert reason in failure
    assert "Nothing has changed: version 1.0 of m serves as before" in failure
    assert [step.state for step in steps[-3:]] == ["failed", "running", "done"]


def test_an_invalid_archive_name_changes_nothing() -> None:
    service = Service()
    steps: list[Step] = []
    with pytest.raises(SwapFailed, match=r"expected the name of a \.mar file"):
        steps.extend(hot_swap(Operator(cast(Client, service)), "m", "../m.mar", b""))
    assert service.changes == []


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ({"queued 1.0": True}, "still had requests"),
        ({"other_project": True}, "does not tell which of its workers is idle"),
        ({"delete 1.0": Failed("timeout", 500)}, "timeout"),
    ],
)
def test_an_old_version_that_cannot_be_removed_stays_and_is_named(faults: dict[str, Any], reason: str) -> None:
    service = Service(**faults)
    steps, failure = swap(service)
    assert (set(service.versions), service.default) == ({"1.0", "2.0"}, "2.0")
    assert "m 2.0 is the default and serves; version 1.0 is still registered" in failure
    assert reason in failure
    assert steps[-1].state == "failed"


def test_a_failed_rollback_is_reported() -> None:
    faults = {"detect": Failed("Worker died."), "delete 2.0": Unreachable("no answer")}
    steps, failure = swap(Service(**faults))
    assert "Worker died. The rollback failed too" in failure
    assert steps[-1] == Step("Roll back", "failed", "no answer")


def test_a_swap_needs_a_permit_at_its_start_only() -> None:
    service, gate = Service(), Gate("secret")
    with pytest.raises(NotPermitted):
        swap(service, lambda: gate.require(None))
    assert service.changes == []
    permit = gate.unlock("secret")
    steps = hot_swap(Operator(cast(Client, service), lambda: gate.require(permit)), "m", "m-2.0.mar", b"")
    next(steps)
    gate.lock(permit)
    list(steps)
    assert service.versions == {"2.0": 2}


@pytest.mark.parametrize("workers", [-1, 65])
def test_an_invalid_number_of_workers_is_refused(workers: int) -> None:
    service = Service()
    with pytest.raises(InvalidAction, match="expected 0 to 64"):
        Operator(cast(Client, service)).scale("m", "1.0", workers)
    assert service.changes == []


def test_a_swap_runs_in_the_background_one_at_a_time() -> None:
    service, jobs = Service(), SwapJobs()
    steps = hot_swap(Operator(cast(Client, service)), "m", "m-2.0.mar", b"")
    thread = jobs.start("m", "m-2.0.mar", steps)
    thread.join(5)
    last = jobs.last
    assert last is not None
    assert (last.running, last.failure) == (False, None)
    assert [step.state for step in last.steps] == ["done"] * 6
    jobs.require_none()


def test_a_failed_swap_keeps_its_reason() -> None:
    jobs = SwapJobs()
    service = Service(detect=Failed("Worker died.", 507))
    jobs.start("m", "m-2.0.mar", hot_swap(Operator(cast(Client, service)), "m", "m-2.0.mar", b"")).join(5)
    last = jobs.last
    assert last is not None
    assert isinstance(last.failure, SwapFailed)
    assert [(step.name, step.state) for step in last.steps][-2:] == [("Try a picture", "failed"), ("Roll back", "done")]
