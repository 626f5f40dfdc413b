"""What a container starts with, and one observation of its server, with a stub of the client."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from server.container import service as service_module
from server.container.registration import Registration, load
from server.container.service import ContainerService, ContainerSettings
from server.container.watch import Watch
from server.runtime.errors import ServerError
from server.runtime.settings import Settings
from service.client import Client
from service.errors import Failed, Unreachable
from service.operator import Operator
from service.records import Model, Version, Worker

WORKER = Worker("1", 7, "READY", 0, "", False)
SHAPES = Model("shapes", (Version("1.0", "shapes.mar", 1, 1, 4, 1, 0, 100, (WORKER,), True),), "1.0")
LOADING = Model("shapes", (replace(SHAPES.default, workers=(replace(WORKER, status="UNLOADING"),)),), "1.0")
SAVED = Registration("shapes", "1.0", "shapes.mar", 1, True)


class StubClient:
    """A client of a server with these models, or with an error instead."""

    def __init__(self, *models: Model, error: Exception | None = None) -> None:
        self.models, self.error = models, error

    def describe_all(self) -> list[Model]:
        if self.error:
            raise self.error
        return list(self.models)

    def detect(self, model: str, image: bytes, **options: Any) -> None:
        del model, image, options


class StubReconciler:
    """Counts how often it is asked to check its file."""

    checks = 0

    def check(self) -> None:
        self.checks += 1


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "run").mkdir()
    (tmp_path / "store").mkdir()
    monkeypatch.setenv("RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("MODEL_STORE", str(tmp_path / "store"))
    return Settings.from_environment()


def service_of(settings: Settings, client: StubClient | None = None, desired: Path | None = None) -> ContainerService:
    """A service with the requested models yolov5s and yolov5m; its archives are in the store that the test fills."""
    container = ContainerSettings(("yolov5s", "yolov5m"), "shapes", desired, "127.0.0.1", 0)
    service = ContainerService(settings, container)
    if client:
        service.client = cast(Client, client)
        service.operator = Operator(service.client)
    return service


def fill(settings: Settings, *names: str) -> None:
    for name in names:
        (settings.model_store / f"{name}.mar").touch()


def test_it_starts_with_the_requested_archives_that_exist(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(settings, "yolov5s", "shapes")
    assert service_of(settings).archives_to_start() == [("yolov5s", settings.model_store / "yolov5s.mar")]
    assert "yolov5m NOT SERVED: yolov5m.mar is not in the model store" in capsys.readouterr().err


def test_without_a_requested_archive_it_starts_with_the_fallback(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(settings, "shapes")
    assert service_of(settings).archives_to_start() == [("shapes", settings.model_store / "shapes.mar")]
    assert "serving shapes instead" in capsys.readouterr().err


def test_without_any_archive_it_does_not_start(settings: Settings) -> None:
    with pytest.raises(ServerError, match="none of yolov5s, yolov5m has an archive"):
        service_of(settings).archives_to_start()


def test_it_starts_with_the_saved_registrations(settings: Settings) -> None:
    fill(settings, "yolov5s", "shapes")
    service = service_of(settings)
    service.saved = (SAVED,)
    assert service.archives_to_start() == [("shapes", settings.model_store / "shapes.mar")]


def test_a_registration_whose_archive_is_missing_is_not_restored(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(settings, "shapes")
    desired = tmp_path / "desired.json"
    missing = Registration("other", "2.0", "other.mar", 1, True)
    desired.write_text(json.dumps([vars(SAVED), vars(missing)]))
    assert service_of(settings, desired=desired).registrations_to_restore() == (SAVED,)
    assert "other 2.0 NOT SERVED: other.mar is not in the model store" in capsys.readouterr().err


def test_while_a_model_loads_nothing_is_restored_or_saved(settings: Settings) -> None:
    service = service_of(settings, StubClient(LOADING))
    watch = service.observe(Watch.started(["shapes"], float("inf")))
    assert (watch.phase, watch.is_restored) == ("restoring", False)
    assert load(service.saved_file, service.container.archives) == ()


def test_a_ready_server_is_restored_and_its_registrations_are_saved(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    restored: list[Registration] = []

    def restore(operator: Operator, saved: tuple[Registration, ...]) -> list[str]:
        restored.extend(saved)
        return ["shapes 1.0: Worker died."]

    monkeypatch.setattr(service_module, "restore", restore)
    service = service_of(settings, StubClient(SHAPES))
    service.saved = (SAVED,)
    reconciler = StubReconciler()
    service.reconciler = cast(Any, reconciler)
    watch = service.observe(Watch.started(["shapes"], 0.0))
    assert (watch.phase, watch.is_restored) == ("ready", True)
    assert restored == [SAVED]
    assert "not restored: shapes 1.0: Worker died." in capsys.readouterr().err
    assert load(service.saved_file, service.container.archives) == (SAVED,)
    assert service.observe(watch).phase == "ready"
    assert restored == [SAVED]  # once
    assert reconciler.checks == 2


@pytest.mark.parametrize("error", [Unreachable("no answer"), Failed("internal error", 500)])
def test_an_error_is_the_problem_and_saves_nothing(settings: Settings, error: Exception) -> None:
    service = service_of(settings, StubClient(error=error))
    watch = service.observe(Watch.started(["shapes"], float("inf")))
    assert (watch.phase, watch.problems) == ("starting", (str(error),))
    assert not service.saved_file.exists()


def test_a_failed_restore_is_tried_again(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def restore(operator: Operator, saved: tuple[Registration, ...]) -> list[str]:
        raise Failed("internal error", 500)

    monkeypatch.setattr(service_module, "restore", restore)
    watch = service_of(settings, StubClient(SHAPES)).observe(Watch.started(["shapes"], float("inf")))
    assert (watch.is_restored, watch.problems) == (False, ("internal error",))
