from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from server.container.registration import Registration, load, registrations, restore, save
from service.client import Failed
from service.operator import Operator
from service.records import Model, Version, Worker

WANTED = ["yolov5s", "waste"]
OLD = Registration("waste", "1.0", "waste.mar", 2, False)
NEW = Registration("waste", "2.0", "waste-2.0.mar", 3, True)


def version(name: str, minimum: int, ready: int, archive: str = "waste.mar") -> Version:
    workers = tuple(Worker(str(each), 100 + each, "READY", 0, "", False) for each in range(ready))
    return Version(name, archive, minimum, minimum, 4, 1, 0, 100, workers, True)


class Recorder:
    """An operator of a service with these versions of `waste`, who notes what is asked for."""

    def __init__(self, *versions: Version) -> None:
        self.versions = versions
        self.asked: list[Any] = []

    def models(self) -> list[Model]:
        return [Model("waste", self.versions, self.versions[0].version)]

    def scale(self, *words: Any) -> None:
        self.asked.append(("scale", *words))

    def set_default(self, *words: Any) -> None:
        self.asked.append(("default", *words))


def restored(recorder: Recorder, *before: Registration) -> list[Any]:
    assert restore(cast(Operator, recorder), before) == []
    return recorder.asked


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    save(tmp_path / "registered.json", WANTED, [NEW, OLD])
    assert load(tmp_path / "registered.json", WANTED) == (NEW, OLD)
    assert [path.name for path in tmp_path.iterdir()] == ["registered.json"]


def test_it_does_not_count_when_other_models_are_wanted(tmp_path: Path) -> None:
    save(tmp_path / "registered.json", WANTED, [NEW])
    assert load(tmp_path / "registered.json", ["yolov5s"]) == ()


def test_a_missing_or_damaged_file_is_no_memory(tmp_path: Path) -> None:
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


def test_the_default_version_comes_first_and_a_failed_one_wants_no_workers() -> None:
    model = Model("waste", (version("1.0", 2, 2), version("2.0", 1, 1, "waste-2.0.mar"), version("3.0", 1, 0)), "2.0")
    found = registrations([model])
    assert [(each.version, each.workers, each.is_default) for each in found] == [
        ("2.0", 1, True),
        ("1.0", 2, False),
        ("3.0", 0, False),
    ]
    assert found[0].archive == "waste-2.0.mar"


def test_workers_and_defaults_are_put_back() -> None:
    recorder = Recorder(version("1.0", 2, 2), version("2.0", 2, 2))
    assert restored(recorder, NEW, OLD) == [("scale", "waste", "2.0", 3), ("default", "waste", "2.0")]


def test_what_was_unloaded_is_unloaded_again() -> None:
    unloaded = Registration("waste", "1.0", "waste.mar", 0, False)
    assert restored(Recorder(version("1.0", 2, 2)), unloaded) == [("scale", "waste", "1.0", 0)]


def test_what_cannot_be_put_back_does_not_keep_the_rest_from_it() -> None:
    class Broken(Recorder):
        def scale(self, *words: Any) -> None:
            raise Failed("Worker died.", 500)

    recorder = Broken(version("1.0", 2, 2), version("2.0", 2, 2))
    other = Registration("waste", "1.0", "waste.mar", 2, True)
    failures = restore(cast(Operator, recorder), [NEW, other])
    assert failures == ["waste 2.0: Worker died."]
    assert recorder.asked == [("default", "waste", "1.0")]


def test_a_version_that_is_no_more_is_left_out() -> None:
    assert restored(Recorder(version("1.0", 2, 2)), NEW, OLD) == []
