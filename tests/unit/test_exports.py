from __future__ import annotations

import contextlib
import csv
import io
import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from results.exports import (
    PictureAnswer,
    annotated_png,
    file_name,
    safe_name,
    to_class_list,
    to_coco,
    to_csv,
    to_json,
    to_yolo,
    to_zip,
    unique_names,
)
from results.simulation import simulate
from support.detections import answer, detection, png

DETECTIONS = [
    detection((51.09, 94.54, 223.21, 402.69), 0, "person", 0.83789),
    detection((10, 20, 110, 60), 5, "bus", 0.4),
]


def shown(name: str = "bus.jpg") -> PictureAnswer:
    return PictureAnswer(name, png(), answer(DETECTIONS))


def test_json_is_the_server_s_document() -> None:
    assert json.loads(to_json(shown())) == answer(DETECTIONS).document


def test_csv_has_a_row_for_each_detection() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv([shown("a.jpg"), shown("b.jpg")]).removeprefix("\ufeff"))))
    assert [row["file"] for row in rows] == ["a.jpg", "a.jpg", "b.jpg", "b.jpg"]
    assert rows[0]["class_name"] == "person"
    assert (float(rows[0]["x_min"]), float(rows[0]["confidence"])) == (51.09, 0.83789)


def test_no_cell_of_the_csv_is_a_formula() -> None:
    detections = [detection((1, 2, 3, 4), 0, "=HYPERLINK(1)")]
    rows = list(csv.reader(io.StringIO(to_csv([PictureAnswer("+1.jpg", png(), answer(detections))]))))
    assert rows[1][0] == "'+1.jpg"
    assert rows[1][2] == "'=HYPERLINK(1)"


def test_coco_loads_in_pycocotools(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    path = tmp_path / "coco.json"
    path.write_text(to_coco([shown("a.jpg"), shown("b.jpg")], ["person", "1", "2", "3", "4", "bus"]), encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = coco.COCO(str(path))
    assert len(loaded.getImgIds()) == 2
    assert loaded.loadCats(5)[0]["name"] == "bus"
    annotation = loaded.loadAnns(loaded.getAnnIds(imgIds=[2], catIds=[0]))[0]
    assert annotation["bbox"] == pytest.approx([51.09, 94.54, 172.12, 308.15])
    assert annotation["area"] == pytest.approx(172.12 * 308.15, abs=0.01)
    assert annotation["score"] == 0.83789


def test_yolo_boxes_are_shares_of_the_picture_s_size() -> None:
    lines = [line.split() for line in to_yolo(shown()).splitlines()]
    assert [line[0] for line in lines] == ["0", "5"]
    shares = [60 / 640, 40 / 480, 100 / 640, 40 / 480, 0.4]
    assert [float(share) for share in lines[1][1:]] == pytest.approx(shares, abs=1e-6)


def test_the_class_list_has_a_line_for_each_id() -> None:
    assert to_class_list([shown()]).splitlines() == ["person", "class 1", "class 2", "class 3", "class 4", "bus"]
    assert to_class_list([], ["a\nb", "c"]).splitlines() == ["a b", "c"]


def test_the_annotated_picture_is_a_png_of_full_size() -> None:
    picture = Image.open(io.BytesIO(annotated_png(shown())))
    assert (picture.format, picture.size) == ("PNG", (640, 480))


def test_the_zip_has_all_formats_under_unique_names() -> None:
    pictures = [shown("a.jpg"), shown("A.JPG"), shown("a.png"), shown("../../etc/passwd"), shown("猫.jpg")]
    archive = zipfile.ZipFile(io.BytesIO(to_zip(pictures)))
    names = archive.namelist()
    assert len(names) == len({name.casefold() for name in names}) == 5 * 3 + 3
    assert "annotated/passwd.png" in names
    assert "yolo/labels/猫.txt" in names
    assert all(".." not in name and not name.startswith("/") for name in names)
    assert archive.testzip() is None
    coco = json.loads(archive.read("coco.json"))
    assert {entry["file_name"].rsplit(".", 1)[0] for entry in coco["images"]} == {
        Path(name).stem for name in names if name.startswith("json/")
    }


@pytest.mark.parametrize(
    ("name", "safe"),
    [("bus.jpg", "bus.jpg"), ("C:\\x\\bus.jpg", "bus.jpg"), ("..", "picture"), ("", "picture"), ("con.jpg", "_con.jpg"),
     ('a"b\n.jpg', "a_b_.jpg"), ("猫 1.jpg", "猫 1.jpg"), ("x" * 300 + ".jpg", "x" * 100 + ".jpg")],
)  # fmt: skip
def test_names_are_safe_on_any_system(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_names_are_unique() -> None:
    assert unique_names(["a.jpg", "a.jpg", "A.png", "b"]) == ["a.jpg", "a-2.jpg", "A-3.png", "b"]


def test_every_file_of_a_simulated_answer_is_marked() -> None:
    simulated = PictureAnswer("bus.jpg", png(), simulate(png()))
    assert json.loads(to_json(simulated))["simulated"] is True
    assert "simulated" in to_csv([simulated])
    assert "Simulated" in json.loads(to_coco([simulated]))["info"]["description"]
    assert file_name(simulated, ".txt").startswith("simulated-")
    assert "SIMULATED.txt" in zipfile.ZipFile(io.BytesIO(to_zip([simulated]))).namelist()
    picture = Image.open(io.BytesIO(annotated_png(simulated)))
    assert picture.getpixel((2, 478)) == (255, 196, 0)


def test_a_simulated_answer_is_the_same_each_time_and_inside_the_picture() -> None:
    first, second = simulate(png()), simulate(png())
    assert first == second
    assert first.size_wh == (640, 480)
    for found in first.detections:
        assert 0 <= found.xyxy[0] < found.xyxy[2] <= 640
        assert found.confidence > 0.25
