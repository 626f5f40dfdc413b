"""The command scripts/detect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from support.pictures import crowded
from support.running_service import Service, command


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "ein Bild.jpg"
    path.write_bytes(crowded())
    return path


def test_prints_a_table(service: Service, photo: Path) -> None:
    done = command("detect", str(photo), environment=service.environment)
    assert done.returncode == 0, done.stderr
    answer = service.client.detect(service.models[0], photo.read_bytes())
    first = answer.detections[0]
    line = done.stdout.splitlines()[2].split()
    assert line[0] == first.class_name
    assert [float(number) for number in line[1:]] == pytest.approx([first.confidence, *first.xyxy], abs=0.051)
    assert len(done.stdout.splitlines()) == 2 + len(answer.detections)


def test_prints_json_with_the_options_asked_for(service: Service, photo: Path) -> None:
    arguments = (str(photo), "--model", "shapes", "--json", "--max-detections", "1", "--agnostic")
    done = command("detect", *arguments, environment=service.environment)
    answer = json.loads(done.stdout)
    assert (answer["model"], answer["file"], len(answer["detections"])) == ("shapes", str(photo), 1)


def test_saves_the_picture_with_its_boxes(service: Service, photo: Path, tmp_path: Path) -> None:
    done = command("detect", str(photo), "--save", str(tmp_path / "drawn"), environment=service.environment)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "drawn" / "ein Bild-shapes.png") as drawn, Image.open(photo) as original:
        # Small pictures are enlarged by a whole factor, so that labels can be read.
        factor = drawn.width // original.width
        assert drawn.size == (factor * original.width, factor * original.height)
        assert drawn.tobytes() != original.convert("RGB").resize(drawn.size).tobytes()


def test_an_invalid_picture_does_not_stop_the_others(service: Service, photo: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    arguments = (str(tmp_path / "none.jpg"), str(bad), str(photo), "--json")
    done = command("detect", *arguments, environment=service.environment)
    assert done.returncode == 1
    assert "none.jpg: " in done.stderr
    assert "bad.jpg: not a picture of a known format" in done.stderr
    assert "Traceback" not in done.stderr
    assert [answer["file"] for answer in json.loads(done.stdout)] == [str(photo)]


def test_reports_that_nothing_runs(service: Service, photo: Path, tmp_path: Path) -> None:
    done = command("detect", str(photo), environment={**service.environment, "RUN_DIR": str(tmp_path)})
    assert (done.returncode, done.stdout) == (1, "")
    assert "start one with scripts/up" in done.stderr
