from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from server.runtime.readiness import is_ready, worker_death
from service.client import Client
from service.errors import Refused
from service.records import Model, Version, Worker

START = "2026-01-01T00:00:00,000 INFO  W-9000-yolov5s_1.0-stdout Torch worker started.\n"
DEATH = """\
2026-01-01T00:00:01,000 INFO  W-9001-my-own_2.1-stdout Backend worker process died.
2026-01-01T00:00:01,001 INFO  W-9000-yolov5s_1.0-stdout OSError: of another worker
2026-01-01T00:00:01,002 INFO  W-9001-my-own_2.1-stdout Traceback (most recent call last):
2026-01-01T00:00:01,003 INFO  W-9001-my-own_2.1-stdout   File "yolov5_handler.py", line 1, in initialize
2026-01-01T00:00:01,004 INFO  W-9001-my-own_2.1-stdout ValueError: model.json asks for the engine 'x'
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        (START, None),
        (START + DEATH, "a worker of my-own died while loading: ValueError: model.json asks for the engine 'x'"),
        (START + DEATH.split("Traceback")[0], "a worker of my-own died while loading: no cause given"),
    ],
)
def test_a_death_is_reported_with_its_cause(tmp_path: Path, text: str | None, expected: str | None) -> None:
    log = tmp_path / "server.log"
    if text is not None:
        log.write_text(text)
    assert worker_death(log) == expected


def version(min_workers: int, *statuses: str) -> Version:
    workers = tuple(Worker(str(index), 7, status, 0, "", False) for index, status in enumerate(statuses))
    return Version("1.0", "x.mar", min_workers, min_workers, 4, 1, 0, 100, workers, True)


class StubClient:
    """A client of a service with this model, or without it."""

    def __init__(self, model: Model | None) -> None:
        self.model = model

    def describe_model(self, name: str) -> Model:
        if self.model is None:
            raise Refused("Model not found", 404)
        return self.model


@pytest.mark.parametrize(
    ("min_workers", "statuses", "expected"),
    [
        (1, ["READY"], True),
        (2, ["READY", "READY"], True),
        (2, ["READY"], False),
        (2, ["READY", "UNLOADING"], False),
        (1, [], False),
        (0, [], False),
        (0, ["UNLOADING"], False),
    ],
)
def test_a_model_is_ready_when_its_default_version_has_all_its_workers(
    min_workers: int, statuses: list[str], expected: bool
) -> None:
    model = Model("a", (version(min_workers, *statuses), replace(version(3), version="2.0")), "1.0")
    assert (model.default.is_ready, model.is_ready) == (expected, expected)
    assert is_ready(cast(Client, StubClient(model)), "a") is expected


def test_a_model_that_is_not_registered_is_not_ready() -> None:
    assert not is_ready(cast(Client, StubClient(None)), "a")
