from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, cast

import pytest

from server.container import health as health_module
from server.container.health import HealthServer, problems_of
from service.client import Busy, Client, TimedOut
from service.records import Model, Version, Worker


class Service:
    """A client of a service that answers, or fails in one way."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.asked: list[str] = []

    def detect(self, model: str, image: bytes, **options: Any) -> None:
        assert image.startswith(b"\x89PNG")
        self.asked.append(model)
        if self.fault:
            raise self.fault


def model(name: str, minimum: int, ready: int, known: int | None = None) -> Model:
    statuses = ["READY"] * ready + ["UNLOADING"] * ((known or ready) - ready)
    workers = tuple(Worker(str(index), 7, status, 0, "", False) for index, status in enumerate(statuses))
    return Model(name, (Version("1.0", f"{name}.mar", minimum, minimum, 4, 1, 0, 100, workers, True),), "1.0")


def found(service: Service, *models: Model, expected: tuple[str, ...] | None = None) -> list[str]:
    names = tuple(each.name for each in models) if expected is None else expected
    return problems_of(cast(Client, service), models, names)


def test_all_workers_and_an_answer_are_health() -> None:
    service = Service()
    assert found(service, model("a", 2, 2), model("b", 1, 1), expected=("a", "b")) == []
    assert service.asked == ["a", "b"]


def test_a_missing_worker_is_named() -> None:
    assert found(Service(), model("a", 2, 1, 2)) == ["a: 1 of 2 workers are ready"]
    service = Service()
    assert found(service, model("a", 2, 0)) == ["a: 0 of 2 workers are ready"]
    assert service.asked == []  # it would wait for a worker that does not come


def test_a_model_that_is_missing_is_named() -> None:
    assert found(Service(), model("a", 1, 1), expected=("a", "b")) == ["b is not registered"]
    assert found(Service()) == ["no model is registered"]


def test_a_model_that_comes_later_is_no_problem_while_it_loads() -> None:
    assert found(Service(), model("a", 1, 1), model("new", 2, 0, 2), expected=("a",)) == []


def test_an_unloaded_model_is_no_problem() -> None:
    assert found(Service(), model("a", 0, 0), model("b", 1, 1)) == []


def test_a_full_queue_is_a_sign_of_life_and_silence_is_none() -> None:
    assert found(Service(Busy("full", 503)), model("a", 1, 1)) == []
    assert found(Service(TimedOut("no answer within 10 s")), model("a", 1, 1)) == [
        "a does not answer: no answer within 10 s"
    ]


@pytest.fixture
def server() -> Iterator[HealthServer]:
    started = HealthServer("127.0.0.1", 0)
    yield started
    started.close()


def asked(server: HealthServer, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_it_is_not_ready_until_it_is_told_so(server: HealthServer) -> None:
    assert asked(server, "/ready") == (503, {"ready": False, "problems": ["starting"]})
    assert asked(server, "/live")[0] == 200
    server.tell([])
    assert asked(server, "/ready") == (200, {"ready": True, "problems": []})
    server.tell(["a: 0 of 2 workers are ready"])
    assert asked(server, "/ready")[0] == 503
    assert asked(server, "/other")[0] == 404


def test_old_news_are_no_good_news(server: HealthServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.tell([])
    monkeypatch.setattr(health_module, "STALE_SECONDS", 0.0)
    assert asked(server, "/ready")[0] == 503
