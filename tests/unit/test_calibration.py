from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from archiver.accuracy import Boxes, mean_average_precision, read_labels
from archiver.errors import CalibrationError
from archiver.export.calibration import MAX_PICTURES, MIN_PICTURES, Calibration


def write_pictures(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new("RGB", (8, 8), (index % 256, index // 256, 0)).save(folder / f"{index:04}.png")


def test_reads_the_pictures_of_a_folder_in_order_of_name(tmp_path: Path) -> None:
    write_pictures(tmp_path, MIN_PICTURES)
    (tmp_path / "notes.txt").write_text("not a picture")
    calibration = Calibration.from_folder(tmp_path)
    assert calibration.pictures == tuple(path.read_bytes() for path in sorted(tmp_path.glob("*.png")))
    assert calibration.labels == (None,) * MIN_PICTURES


def test_chooses_evenly_among_many_pictures(tmp_path: Path) -> None:
    write_pictures(tmp_path, 2 * MAX_PICTURES + 3)
    calibration = Calibration.from_folder(tmp_path)
    assert len(set(calibration.pictures)) == MAX_PICTURES
    assert calibration.pictures[-1] in {path.read_bytes() for path in sorted(tmp_path.glob("*.png"))[-4:]}


def test_finds_the_labels_of_a_yolo_data_set(tmp_path: Path) -> None:
    write_pictures(tmp_path / "images", MIN_PICTURES)
    (tmp_path / "labels").mkdir()
    calibration = Calibration.from_folder(tmp_path)
    assert calibration.labels[3] == tmp_path / "labels" / "0003.txt"


def test_sha256_depends_on_the_pictures_and_their_order(tmp_path: Path) -> None:
    write_pictures(tmp_path, MIN_PICTURES)
    calibration = Calibration.from_folder(tmp_path)
    assert Calibration.from_folder(tmp_path).sha256 == calibration.sha256
    assert Calibration(calibration.pictures[::-1], calibration.labels).sha256 != calibration.sha256


@pytest.mark.parametrize("count", [0, MIN_PICTURES - 1])
def test_too_few_pictures_are_an_error(tmp_path: Path, count: int) -> None:
    write_pictures(tmp_path, count)
    with pytest.raises(CalibrationError, match=f"{count} pictures; at least {MIN_PICTURES}"):
        Calibration.from_folder(tmp_path)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="nowhere: a folder with calibration pictures"):
        Calibration.from_folder(tmp_path / "nowhere")


def boxes(*rows: tuple[float, float, float, float], confidences: tuple[float, ...] | None = None) -> Boxes:
    scores = np.array(confidences or (1.0,) * len(rows))
    return Boxes(np.array(rows, np.float64).reshape(-1, 4), np.zeros(len(rows), np.int64), scores)


def test_labels_become_boxes_in_pixels(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("3 0.5 0.5 0.5 0.25\n0 0.25 0.25 0.5 0.5\n")
    labels = read_labels(path, (200, 100))
    assert labels.boxes.tolist() == [[50, 37.5, 150, 62.5], [0, 0, 100, 50]]
    assert labels.class_ids.tolist() == [3, 0]
    assert read_labels(tmp_path / "none.txt", (200, 100)).boxes.shape == (0, 4)


@pytest.mark.parametrize("text", ["1 2 3", "0 a b c d"])
def test_labels_of_another_form_are_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(ValueError, match=r"bad\.txt: five numbers"):
        read_labels(tmp_path / "bad.txt", (200, 100))


def test_average_precision_is_one_for_the_labels_and_less_for_worse_detections() -> None:
    first, second = (0.0, 0.0, 10.0, 10.0), (20.0, 20.0, 40.0, 40.0)
    labels = [boxes(first, second), boxes(first)]
    assert mean_average_precision(labels, labels).at_50_95 == pytest.approx(1)
    # IoU of 0.72 with the label: correct at five of the ten thresholds from 0.5 to 0.95.
    shifted = mean_average_precision([boxes((0.0, 0.0, 10.0, 7.2))], [boxes(first)])
    assert shifted.at_50 == pytest.approx(1)
    assert shifted.at_50_95 == pytest.approx(0.5)
    # The false detection has the higher confidence, so precision is 0.5 at every recall.
    wrong = mean_average_precision([boxes(second, first, confidences=(0.9, 0.8))], [boxes(first)])
    assert wrong.at_50_95 == pytest.approx(0.5)
