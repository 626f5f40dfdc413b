from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from server.container import desired_state as desired_module
from server.container.desired_state import InvalidDesire, read_desired, reconcile
from server.container.registration import Registration
from service.client import Client, Failed
from service.operator import Operator
from service.records import Model, Version, Worker
from service.swap import SwapFailed


def wanted(model: str, version: str, workers: int = 1, is_default: bool = True) -> Registration:
    return Registration(model, version, f"{model}-{version}.mar", workers, is_default)


WORKER = Worker("1", 7, "READY", 0, "", False)


class Service:
    """Models with their versions, of which each has so many workers; notes what is changed."""

    def __init__(self, **models: dict[str, int]) -> None:
        self.state = models
        self.defaults = {name: next(iter(versions)) for name, versions in models.items()}
        self.changes: list[str] = []
        self.client = cast(Client, self)

    def models(self) -> list[Model]:
        return [self.describe_model(name) for name in self.state]

    def describe_model(self, name: str) -> Model:
        versions = tuple(
            Version(
                version, "x.mar", count, count, 4, 1, 0, 100, (Worker("1", 7, "READY", 0, "", False),) * count, True
            )
            for version, count in self.state[name].items()
        )
        return Model(name, versions, self.defaults[name])

    def register(self, archive: str, model: str, workers: int) -> None:
        version = archive.removesuffix(".mar").removeprefix(f"{model}-")
        if archive == "broken.mar":
            raise Failed("Worker died.", 500)
        self.state.setdefault(model, {})[version] = workers
        self.defaults.setdefault(model, version)
        self.changes.append(f"register {model} {version} x{workers}")

    def scale(self, model: str, version: str, workers: int) -> None:
        self.state[model][version] = workers
        self.changes.append(f"scale {model} {version} x{workers}")

    def set_default(self, model: str, version: str) -> None:
        self.defaults[model] = version
        self.changes.append(f"default {model} {version}")

    def unregister(self, model: str, version: str) -> None:
        assert version != self.defaults[model] or len(self.state[model]) == 1
        del self.state[model][version]
        if not self.state[model]:
            del self.state[model]
        self.changes.append(f"remove {model} {version}")


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draining and swapping have tests of their own; here they only leave a mark."""

    def drain(service: Service, model: str, version: str) -> None:
        service.changes.append(f"drain {model} {version}")

    def hot_swap(operator: Service, model: str, archive: str, picture: bytes) -> list[Any]:
        old = operator.defaults[model]
        workers = operator.state[model][old]
        if archive == "waste-broken.mar":
            raise SwapFailed("it does not answer")
        operator.changes.append(f"swap {model} to {archive}")
        version = archive.removesuffix(".mar").removeprefix(f"{model}-")
        operator.state[model][version] = workers
        operator.defaults[model] = version
        del operator.state[model][old]
        return []

    monkeypatch.setattr(desired_module, "drain", drain)
    monkeypatch.setattr(desired_module, "hot_swap", hot_swap)


def changes(service: Service, *asked: Registration) -> list[str]:
    reconcile(cast(Operator, service), asked, b"", lambda _: None)
    return service.changes


def test_nothing_is_done_where_nothing_differs() -> None:
    assert changes(Service(waste={"1.0": 2}), wanted("waste", "1.0", 2)) == []


def test_another_version_is_swapped_in_and_gets_its_workers() -> None:
    found = changes(Service(waste={"1.0": 2}), wanted("waste", "2.0", 3))
    assert found == ["swap waste to waste-2.0.mar", "scale waste 2.0 x3"]


def test_a_new_model_is_registered_and_an_unwanted_one_removed_after_it_has_answered() -> None:
    found = changes(Service(old={"1.0": 1}), wanted("waste", "1.0", 2))
    assert found == ["register waste 1.0 x2", "drain old 1.0", "remove old 1.0"]


def test_a_version_beside_the_default_comes_and_goes() -> None:
    service = Service(waste={"1.0": 1})
    beside = (wanted("waste", "1.0"), wanted("waste", "2.0", is_default=False))
    assert changes(service, *beside) == ["register waste 2.0 x1"]
    service.changes.clear()
    swapped = (wanted("waste", "1.0", is_default=False), wanted("waste", "2.0"))
    assert changes(service, *swapped) == ["default waste 2.0"]
    service.changes.clear()
    assert changes(service, wanted("waste", "2.0")) == ["drain waste 1.0", "remove waste 1.0"]


def test_a_version_that_fails_leaves_the_old_one() -> None:
    service = Service(waste={"1.0": 2})
    with pytest.raises(SwapFailed):
        changes(service, wanted("waste", "broken"))
    assert service.state == {"waste": {"1.0": 2}}


ENTRY = {"model": "waste", "version": "1.0", "archive": "waste.mar", "workers": 1, "is_default": True}


def test_the_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "registered.json"
    path.write_text(json.dumps([ENTRY]))
    assert read_desired(path) == (Registration("waste", "1.0", "waste.mar", 1, True),)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("", "expected a list of objects with model, version, archive, workers, is_default"),
        ("[]", "at least one model"),
        ('[{"model": "waste"}]', "missing"),
        (json.dumps([{**ENTRY, "is_default": False}]), "one default version"),
        (json.dumps([ENTRY, ENTRY]), "one default version"),
        (json.dumps([ENTRY, {**ENTRY, "is_default": False}]), "each version once"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "registered.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidDesire, match=words):
        read_desired(path)
