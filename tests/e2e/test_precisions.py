"""int8 and bf16 archives are built, served, and nearly as accurate as fp32."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archiver.accuracy import Boxes, mean_average_precision, read_labels
from conftest import weights
from demo_model.generator import draw
from support.pictures import TEST_SEED, encoded
from support.running_service import Service, command, environment_for, running
from support.served_accuracy import boxes_of

MAX_LOSS = 0.008  # of mAP50-95


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return environment_for(tmp_path, YOLOV5_WEIGHTS_URL="http://127.0.0.1:9")


def test_int8_loses_little_accuracy_on_photos_outside_the_calibration(
    yolov5n: Service, environment: dict[str, str], coco: Path
) -> None:
    store = Path(environment["MODEL_STORE"])
    command_line = ("archive", "yolov5n", "--precision", "int8", "--calibration", str(coco / "train2017"))
    built = command(*command_line, "--model-store", str(store), environment=environment)
    assert built.returncode == 0, built.stderr
    assert "mAP50-95 on 128 calibration pictures" in built.stdout
    with zipfile.ZipFile(store / "yolov5n-int8.mar") as archive:
        description = json.loads(archive.read("model.json"))
    assert (description["precision"], description["calibration"]["pictures"]) == ("int8", 128)
    # scripts/up serves this archive as it is: it has no pictures to build it again.
    assert loss_of("int8", yolov5n, environment, coco) <= MAX_LOSS


def loss_of(precision: str, yolov5n: Service, environment: dict[str, str], coco: Path) -> float:
    """The loss of mAP50-95 of yolov5n in this precision, relative to fp32, on the photos of val2017."""
    with running(["yolov5n"], environment, "--precision", precision) as service:
        name = f"yolov5n-{precision}"
        assert service.describe(name)["customizedMetadata"]["precision"] == precision
        options: dict[str, Any] = {"confidence": 0.001, "iou": 0.6, "max_detections": 300, "multi_label": True}
        detections: dict[str, list[Boxes]] = {"yolov5n": [], name: []}
        labels = []
        for photo in sorted((coco / "val2017" / "images").glob("*.jpg")):
            for served, model in ((yolov5n, "yolov5n"), (service, name)):
                answer = served.client.detect(model, photo.read_bytes(), **options)
                detections[model].append(boxes_of(answer))
            labels.append(read_labels(coco / "val2017" / "labels" / f"{photo.stem}.txt", answer.size_wh))
    fp32, other = (mean_average_precision(detections[model], labels).at_50_95 for model in ("yolov5n", name))
    print(f"{precision}: {other:.4f}, fp32: {fp32:.4f}")
    return fp32 - other


def test_the_embedded_model_needs_no_calibration_pictures_and_is_reproducible(environment: dict[str, str]) -> None:
    store = Path(environment["MODEL_STORE"])
    with running(["shapes"], environment, "--precision", "int8") as service:
        first = (store / "shapes-int8.mar").read_bytes()
        assert accuracy_on_drawn_pictures(service, "shapes-int8") > 0.85
    (store / "shapes-int8.mar").unlink()
    command_line = ("archive", "shapes", "--precision", "int8", "--model-store", str(store))
    assert command(*command_line, environment=environment).returncode == 0
    assert (store / "shapes-int8.mar").read_bytes() == first


def test_bf16_needs_no_pictures_and_loses_little_accuracy(service: Service, environment: dict[str, str]) -> None:
    # On a CPU without bfloat16 it computes in fp32 and loses no accuracy.
    with running(["shapes"], environment, "--precision", "bf16") as other:
        assert other.describe("shapes-bf16")["customizedMetadata"]["precision"] == "bf16"
        fp32, bf16 = accuracy_on_drawn_pictures(service, "shapes"), accuracy_on_drawn_pictures(other, "shapes-bf16")
    print(f"bf16: {bf16:.4f}, fp32: {fp32:.4f}")
    assert abs(fp32 - bf16) <= MAX_LOSS


def accuracy_on_drawn_pictures(service: Service, model: str) -> float:
    """mAP50-95 of a model of shapes on pictures that were not used for training."""
    detections, labels = [], []
    for seed in range(60):
        answer = service.client.detect(model, encoded(seed, "PNG"), confidence=0.001, multi_label=True)
        drawn = draw(TEST_SEED + seed)
        detections.append(boxes_of(answer))
        labels.append(Boxes(drawn.boxes_xyxy, drawn.class_ids, np.ones(len(drawn.class_ids))))
    return mean_average_precision(detections, labels).at_50_95


def test_int8_without_pictures_is_an_error(environment: dict[str, str]) -> None:
    weights("yolov5n")
    command_line = ("up", "--detach", "--models", "yolov5n", "--precision", "int8")
    done = command(*command_line, environment=environment)
    assert done.returncode == 1
    assert "yolov5n-int8: int8 needs calibration pictures" in done.stderr
    assert "--calibration DIR" in done.stderr
    assert "Traceback" not in done.stderr
