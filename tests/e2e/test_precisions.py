"""int8 and bf16 archives: built, served, and nearly as good as fp32."""

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
from support.served_accuracy import found_by

LOST = 0.008  # of mAP50-95, at most


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return environment_for(tmp_path, YOLOV5_WEIGHTS_URL="http://127.0.0.1:9")


def test_yolov5n_loses_little_on_photos_it_was_not_calibrated_with(
    yolov5n: Service, environment: dict[str, str], coco: Path
) -> None:
    store = Path(environment["MODEL_STORE"])
    words = ("archive", "yolov5n", "--precision", "int8", "--calibration", str(coco / "train2017"))
    built = command(*words, "--model-store", str(store), environment=environment)
    assert built.returncode == 0, built.stderr
    assert "mAP50-95 on 128 calibration pictures" in built.stdout
    with zipfile.ZipFile(store / "yolov5n-int8.mar") as archive:
        description = json.loads(archive.read("model.json"))
    assert (description["precision"], description["calibration"]["pictures"]) == ("int8", 128)
    # A start takes it as it is: without the pictures it could not be built again.
    assert lost_by("int8", yolov5n, environment, coco) <= LOST


def lost_by(precision: str, yolov5n: Service, environment: dict[str, str], coco: Path) -> float:
    """What yolov5n in this precision loses of fp32's mAP50-95 on the photos of val2017."""
    with running(["yolov5n"], environment, "--precision", precision) as service:
        name = f"yolov5n-{precision}"
        assert service.describe(name)["customizedMetadata"]["precision"] == precision
        options: dict[str, Any] = {"confidence": 0.001, "iou": 0.6, "max_detections": 300, "multi_label": True}
        found: dict[str, list[Boxes]] = {"yolov5n": [], name: []}
        truth = []
        for photo in sorted((coco / "val2017" / "images").glob("*.jpg")):
            for served, model in ((yolov5n, "yolov5n"), (service, name)):
                answer = served.client.detect(model, photo.read_bytes(), **options)
                found[model].append(found_by(answer))
            truth.append(read_labels(coco / "val2017" / "labels" / f"{photo.stem}.txt", answer.size_wh))
    fp32, other = (mean_average_precision(found[model], truth).at_50_95 for model in ("yolov5n", name))
    print(f"{precision}: {other:.4f}, fp32: {fp32:.4f}")
    return fp32 - other


def test_the_embedded_model_calibrates_itself_and_is_reproducible(environment: dict[str, str]) -> None:
    store = Path(environment["MODEL_STORE"])
    with running(["shapes"], environment, "--precision", "int8") as service:
        first = (store / "shapes-int8.mar").read_bytes()
        assert precision_on_drawn(service, "shapes-int8") > 0.85
    (store / "shapes-int8.mar").unlink()
    words = ("archive", "shapes", "--precision", "int8", "--model-store", str(store))
    assert command(*words, environment=environment).returncode == 0
    assert (store / "shapes-int8.mar").read_bytes() == first


def test_bf16_needs_no_pictures_and_costs_little(service: Service, environment: dict[str, str]) -> None:
    # On a CPU without bfloat16 it computes in fp32 and costs nothing.
    with running(["shapes"], environment, "--precision", "bf16") as other:
        assert other.describe("shapes-bf16")["customizedMetadata"]["precision"] == "bf16"
        fp32, bf16 = precision_on_drawn(service, "shapes"), precision_on_drawn(other, "shapes-bf16")
    print(f"bf16: {bf16:.4f}, fp32: {fp32:.4f}")
    assert abs(fp32 - bf16) <= LOST


def precision_on_drawn(service: Service, model: str) -> float:
    """mAP50-95 of a model of shapes on pictures that it was not trained with."""
    found, truth = [], []
    for seed in range(60):
        answer = service.client.detect(model, encoded(seed, "PNG"), confidence=0.001, multi_label=True)
        drawn = draw(TEST_SEED + seed)
        found.append(found_by(answer))
        truth.append(Boxes(drawn.boxes_xyxy, drawn.class_ids, np.ones(len(drawn.class_ids))))
    return mean_average_precision(found, truth).at_50_95


def test_without_pictures_it_says_what_is_needed(environment: dict[str, str]) -> None:
    weights("yolov5n")
    words = ("up", "--detach", "--models", "yolov5n", "--precision", "int8")
    done = command(*words, environment=environment)
    assert done.returncode == 1
    assert "yolov5n-int8: int8 needs pictures to calibrate with" in done.stderr
    assert "--calibration DIR" in done.stderr
    assert "Traceback" not in done.stderr
