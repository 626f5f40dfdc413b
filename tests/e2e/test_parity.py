"""The running service returns the detections of reference YOLOv5."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archiver.accuracy import mean_average_precision, read_labels
from support.running_service import Service
from support.served_accuracy import boxes_of

BOX_TOLERANCE = 0.05  # pixels
CONFIDENCE_TOLERANCE = 0.001


def picture(coco: Path, name: str) -> bytes:
    """A photo of the data set by its file name."""
    folders = (coco, coco / "val2017" / "images", coco / "train2017" / "images")
    return next(folder / name for folder in folders if (folder / name).is_file()).read_bytes()


def test_all_golden_records_match(yolov5n: Service, golden: Path, coco: Path) -> None:
    records = json.loads((golden / "yolov5n.json").read_text())["records"]
    assert len(records) == 286
    client = yolov5n.client
    for record in records:
        answer = client.detect("yolov5n", picture(coco, record["image"]), **record["options"])
        where = f"{record['image']} {record['case']}"
        expected = record["detections"]
        actual = answer.detections
        assert [detection.class_name for detection in actual] == [each["class_name"] for each in expected], where
        assert [detection.class_id for detection in actual] == [each["class_id"] for each in expected], where
        for detection, each in zip(actual, expected, strict=True):
            assert detection.xyxy == pytest.approx(each["xyxy"], abs=BOX_TOLERANCE), where
            assert detection.confidence == pytest.approx(each["confidence"], abs=CONFIDENCE_TOLERANCE), where


@pytest.mark.parametrize(("multi_label", "reference"), [(True, 0.3452), (False, 0.3333)])
def test_mean_average_precision_is_the_reference_s(
    yolov5n: Service, coco: Path, multi_label: bool, reference: float
) -> None:
    detections, labels = [], []
    for photo in sorted((coco / "val2017" / "images").glob("*.jpg")):
        answer = yolov5n.client.detect(
            "yolov5n", photo.read_bytes(), confidence=0.001, iou=0.6, max_detections=300, multi_label=multi_label
        )
        detections.append(boxes_of(answer))
        labels.append(read_labels(coco / "val2017" / "labels" / f"{photo.stem}.txt", answer.size_wh))
    assert len(detections) == 64
    assert mean_average_precision(detections, labels).at_50_95 == pytest.approx(reference, abs=0.002)


def test_own_weights_are_served_with_their_own_class_names(service: Service, coco: Path) -> None:
    if "waste-2class" not in service.models:
        pytest.skip("waste-2class.pt is not in YOLOV5_WEIGHTS_DIR")
    description: dict[str, Any] = service.describe("waste-2class")["customizedMetadata"]
    assert len(description["classes"]) == 2
    assert not set(description["classes"]) & {"person", "bicycle"}
    answer = service.client.detect("waste-2class", (coco / "bus.jpg").read_bytes(), confidence=0.01)
    assert answer.model == "waste-2class"
    assert {detection.class_name for detection in answer.detections} <= set(description["classes"])
