from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from server.container.registration import Registration, load, registrations, restore, save
from service.errors import Failed
from service.operator import Operator
from service.records import Model, Version, Worker

REQUESTED = ["yolov5s", "waste"]
OLD = Registration("waste", "1.0", "waste.mar", 2, False)
NEW = Registration("waste", "2.0", "waste-2.0.mar", 3, True)


def version(name: str, min_workers: int, ready: int, archive: str = "waste.mar") -> Version:
    workers = tuple(Worker(str(each), 100 + each, "READY", 0, "", False) for each in range(ready))
    return Version(name, archive, min_workers, min_workers, 4, 1, 0, 100, workers, True)


class StubOperator:
    """An operator of a service with these versions of `waste`; records the changes."""

    def __init__(self, *versions: Version) -> None:
        self.versions = versions
        self.changes: list[Any] = []

    def models(self) -> list[Model]:
        return [Model("waste", self.versions, self.versions[0].version)]

    def scale(self, *arguments: Any) -> None:
        self.changes.append(("scale", *arguments))

    def set_default(self, *arguments: Any) -> None:
        self.changes.append(("default", *arguments))


def restored(operator: StubOperator, *saved: Registration) -> list[Any]:
    assert restore(cast(Operator, operator), saved) == []
    return operator.changes


def test_saved_registrations_are_loaded(tmp_path: Path) -> None:
    save(tmp_path / "registered.json", REQUESTED, [NEW, OLD])
    assert load(tmp_path / "registered.json", REQUESTED) == (NEW, OLD)
    assert [path.name for path in tmp_path.iterdir()] == ["registered.json"]


def test_it_is_ignored_if_other_models_are_requested(tmp_path: Path) -> None:
    save(tmp_path / "registered.json", REQUESTED, [NEW])
    assert load(tmp_path / "registered.json", ["yolov5s"]) == ()


def test_a_missing_or_damaged_file_gives_no_registrations(tmp_path: Path) -> None:
    path = tmp_path / "registered.json"
    for content in (
        None,
        "",
        "[]",
        "{}",
        '{"wanted": ["a"], "registered": [{}]}',
        '{"wanted": ["a"], "registered": 1}',
    ):
        if content is not None:
            path.write_text(content)
        assert load(path, ["a"]) == ()


def test_the_default_version_is_first_and_a_failed_one_gets_no_workers() -> None:
    model = Model("waste", (version("1.0", 2, 2), version("2.0", 1, 1, "waste-2.0.mar"), version("3.0", 1, 0)), "2.0")
    entries = registrations([model])
    assert [(each.version, each.workers, each.is_default) for each in entries] == [
        ("2.0", 1, True),
        ("1.0", 2, False),
        ("3.0", 0, False),
    ]
    assert entries[0].archive == "waste-2.0.mar"


def test_workers_and_defaults_are_restored() -> None:
    operator = StubOperator(version("1.0", 2, 2), version("2.0", 2, 2))
    assert restored(operator, NEW, OLD) == [("scale", "waste", "2.0", 3), ("default", "waste", "2.0")]


def test_an_unloaded_version_is_unloaded_again() -> None:
    unloaded = Registration("waste", "1.0", "waste.mar", 0, False)
    assert restored(StubOperator(version("1.0", 2, 2)), unloaded) == [("scale", "waste", "1.0", 0)]


def test_a_failure_does_not_stop_the_rest() -> None:
    class Broken(StubOperator):
        def scale(self, *arguments: Any) -> None:
            raise Failed("Worker died.", 500)

    operator = Broken(version("1.0", 2, 2), version("2.0", 2, 2))
    other = Registration("waste", "1.0", "waste.mar", 2, True)
    failures = restore(cast(Operator, operator), [NEW, other])
    assert failures == ["waste 2.0: Worker died."]
    assert operator.changes == [("default", "waste", "1.0")]


def test_a_version_that_is_missing_is_skipped() -> None:
    assert restored(StubOperator(version("1.0", 2, 2)), NEW, OLD) == []
