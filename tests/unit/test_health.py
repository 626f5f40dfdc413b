from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, cast

import pytest

from server.container import health as health_module
from server.container.health import HealthServer, find_problems
from service.client import Client
from service.errors import Busy, TimedOut
from service.records import Model, Version, Worker


class StubClient:
    """A client of a service that answers, or fails with `fault`."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.models: list[str] = []

    def detect(self, model: str, image: bytes, **options: Any) -> None:
        assert image.startswith(b"\x89PNG")
        self.models.append(model)
        if self.fault:
            raise self.fault


def model(name: str, min_workers: int, ready: int, workers: int | None = None) -> Model:
    """A model with so many workers, of which `ready` are ready."""
    statuses = ["READY"] * ready + ["UNLOADING"] * ((workers or ready) - ready)
    records = tuple(Worker(str(index), 7, status, 0, "", False) for index, status in enumerate(statuses))
    return Model(name, (Version("1.0", f"{name}.mar", min_workers, min_workers, 4, 1, 0, 100, records, True),), "1.0")


def problems(client: StubClient, *models: Model, expected: tuple[str, ...] | None = None) -> list[str]:
    names = tuple(each.name for each in models) if expected is None else expected
    return find_problems(cast(Client, client), models, names)


def test_a_service_with_all_workers_and_an_answer_has_no_problems() -> None:
    client = StubClient()
    assert problems(client, model("a", 2, 2), model("b", 1, 1), expected=("a", "b")) == []
    assert client.models == ["a", "b"]


def test_missing_workers_are_counted() -> None:
    assert problems(StubClient(), model("a", 2, 1, 2)) == ["a: 1 of 2 workers are ready"]
    client = StubClient()
    assert problems(client, model("a", 2, 0)) == ["a: 0 of 2 workers are ready"]
    assert client.models == []  # no worker would answer


def test_a_missing_model_is_named() -> None:
    assert problems(StubClient(), model("a", 1, 1), expected=("a", "b")) == ["b is not registered"]
    assert problems(StubClient()) == ["no model is registered"]


def test_a_new_model_is_no_problem_while_it_loads() -> None:
    assert problems(StubClient(), model("a", 1, 1), model("new", 2, 0, 2), expected=("a",)) == []


def test_an_unloaded_model_is_no_problem() -> None:
    assert problems(StubClient(), model("a", 0, 0), model("b", 1, 1)) == []


def test_a_full_queue_is_no_problem_and_a_timeout_is_one() -> None:
    assert problems(StubClient(Busy("full", 503)), model("a", 1, 1)) == []
    assert problems(StubClient(TimedOut("no answer within 10 s")), model("a", 1, 1)) == [
        "a does not answer: no answer within 10 s"
    ]


@pytest.fixture
def server() -> Iterator[HealthServer]:
    started = HealthServer("127.0.0.1", 0)
    yield started
    started.close()


def probe(server: HealthServer, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_it_is_ready_only_after_a_report_without_problems(server: HealthServer) -> None:
    assert probe(server, "/ready") == (503, {"ready": False, "problems": ["starting"]})
    assert probe(server, "/live")[0] == 200
    server.report([])
    assert probe(server, "/ready") == (200, {"ready": True, "problems": []})
    server.report(["a: 0 of 2 workers are ready"])
    assert probe(server, "/ready")[0] == 503
    assert probe(server, "/other")[0] == 404


def test_an_old_report_is_not_ready(server: HealthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.report([])
    monkeypatch.setattr(health_module, "STALE_SECONDS", 0.0)
    assert probe(server, "/ready")[0] == 503
