from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from server.container import desired_state as desired_module
from server.container.desired_state import InvalidDesiredState, read_desired, reconcile
from server.container.registration import Registration
from service.client import Client
from service.errors import Failed
from service.operator import Operator
from service.records import Model, Version, Worker
from service.swap import SwapFailed


def registration(model: str, version: str, workers: int = 1, is_default: bool = True) -> Registration:
    return Registration(model, version, f"{model}-{version}.mar", workers, is_default)


WORKER = Worker("1", 7, "READY", 0, "", False)


class StubOperator:
    """An operator of models, given as {model: {version: workers}}; records the changes."""

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
    """Draining and swapping have tests of their own; here they are only recorded."""

    def drain(operator: StubOperator, model: str, version: str) -> None:
        operator.changes.append(f"drain {model} {version}")

    def hot_swap(operator: StubOperator, model: str, archive: str, picture: bytes) -> list[Any]:
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

    monkeypatch.setattr(desired_module, "wait_until_drained", drain)
    monkeypatch.setattr(desired_module, "hot_swap", hot_swap)


def changes(operator: StubOperator, *desired: Registration) -> list[str]:
    reconcile(cast(Operator, operator), desired, b"", lambda _: None)
    return operator.changes


def test_without_a_difference_nothing_changes() -> None:
    assert changes(StubOperator(waste={"1.0": 2}), registration("waste", "1.0", 2)) == []


def test_another_version_is_swapped_in_and_gets_its_workers() -> None:
    changed = changes(StubOperator(waste={"1.0": 2}), registration("waste", "2.0", 3))
    assert changed == ["swap waste to waste-2.0.mar", "scale waste 2.0 x3"]


def test_a_missing_model_is_registered_and_another_one_drained_and_removed() -> None:
    changed = changes(StubOperator(old={"1.0": 1}), registration("waste", "1.0", 2))
    assert changed == ["register waste 1.0 x2", "drain old 1.0", "remove old 1.0"]


def test_a_second_version_is_registered_becomes_the_default_and_the_first_is_removed() -> None:
    operator = StubOperator(waste={"1.0": 1})
    both = (registration("waste", "1.0"), registration("waste", "2.0", is_default=False))
    assert changes(operator, *both) == ["register waste 2.0 x1"]
    operator.changes.clear()
    swapped = (registration("waste", "1.0", is_default=False), registration("waste", "2.0"))
    assert changes(operator, *swapped) == ["default waste 2.0"]
    operator.changes.clear()
    assert changes(operator, registration("waste", "2.0")) == ["drain waste 1.0", "remove waste 1.0"]


def test_if_the_new_version_fails_the_old_one_stays() -> None:
    operator = StubOperator(waste={"1.0": 2})
    with pytest.raises(SwapFailed):
        changes(operator, registration("waste", "broken"))
    assert operator.state == {"waste": {"1.0": 2}}


ENTRY = {"model": "waste", "version": "1.0", "archive": "waste.mar", "workers": 1, "is_default": True}


def test_the_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "registered.json"
    path.write_text(json.dumps([ENTRY]))
    assert read_desired(path) == (Registration("waste", "1.0", "waste.mar", 1, True),)


@pytest.mark.parametrize(
    ("content", "message"),
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
def test_an_invalid_file_is_rejected(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "registered.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidDesiredState, match=message):
        read_desired(path)
