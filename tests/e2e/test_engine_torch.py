"""Archives of the engines torch and OpenVINO in one service: batches, answers, and the libraries of a worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from demo_model.generator import CLASS_NAMES
from support.pictures import encoded
from support.running_service import Service, command, environment_for, running

SIZES_WH = [(320, 320), (320, 240), (200, 500), (640, 480), (33, 47), (1280, 300)]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The embedded model in an archive of each engine."""
    environment = environment_for(tmp_path_factory.mktemp("engines"))
    for engine in ("openvino", "torch"):
        command_line = (
            "shapes",
            "--name",
            f"by-{engine}",
            "--engine",
            engine,
            "--model-store",
            environment["MODEL_STORE"],
        )
        done = command("archive", *command_line, environment=environment)
        assert done.returncode == 0, done.stderr
    with running(["by-openvino", "by-torch"], environment) as started:
        yield started


def predict(service: Service, model: str, picture: bytes) -> tuple[int, Any]:
    url = f"{service.inference_url}/predictions/{model}"
    response = requests.post(url, data=picture, headers=service.headers, timeout=60)
    return response.status_code, response.json()


def assert_same(actual: Any, expected: Any) -> None:
    """Equal detections in the same order, except for rounding: see tests/unit/test_engines.py."""
    assert actual["image"] == expected["image"]
    assert [each["class_id"] for each in actual["detections"]] == [each["class_id"] for each in expected["detections"]]
    for one, other in zip(actual["detections"], expected["detections"], strict=True):
        assert one["xyxy"] == pytest.approx(other["xyxy"], abs=0.05)
        assert one["confidence"] == pytest.approx(other["confidence"], abs=1e-3)


def test_concurrent_requests_are_batched_and_answered_like_single_ones(engines: Service) -> None:
    pictures = [encoded(seed % 6, "PNG", size_wh) for seed, size_wh in enumerate([*SIZES_WH, *[(320, 320)] * 10])]
    pictures += [b"garbage", b""]
    single = [predict(engines, "by-torch", picture) for picture in pictures]
    assert [status for status, _ in single] == [200] * 16 + [415, 422]
    concurrent: list[tuple[int, Any]] = []
    with ThreadPoolExecutor(len(pictures)) as pool:
        for _ in range(5):
            answers = list(pool.map(lambda picture: predict(engines, "by-torch", picture), pictures))
            for (status, actual), (expected_status, expected) in zip(answers, single, strict=True):
                assert status == expected_status
                if status == 200:
                    assert_same(actual, expected)
                else:
                    assert actual == expected
            concurrent += answers
    # Pictures that were inferred in one call report exactly the same inference time.
    calls = Counter(answer["timings"]["inference"] for status, answer in concurrent if status == 200)
    assert max(calls.values()) > 1


@pytest.mark.parametrize("model", ["by-openvino", "by-torch"])
def test_only_the_workers_of_a_torch_archive_load_torch(engines: Service, model: str) -> None:
    # Twice as many requests as fit into one batch of every worker, so that every worker answers.
    pictures = [encoded(seed, size_wh=size_wh) for seed, size_wh in enumerate(SIZES_WH)] * 4
    with ThreadPoolExecutor(len(pictures)) as pool:
        statuses = {status for status, _ in pool.map(lambda picture: predict(engines, model, picture), pictures)}
    assert statuses == {200}
    assert predict(engines, model, b"garbage")[0] == 415
    assert_describes(engines, model)
    for pid in engines.worker_pids(model):
        assert ("libtorch" in Path(f"/proc/{pid}/maps").read_text()) == (model == "by-torch")


def assert_describes(service: Service, model: str) -> None:
    """The management API returns the model's own description as an object, not as text."""
    metadata = service.describe(model)["customizedMetadata"]
    # TorchServe omits null values: `classes`, which by default means all.
    assert metadata.pop("defaults") == {
        "confidence": 0.25, "iou": 0.45, "max_detections": 1000, "agnostic": False, "multi_label": False,
        "image_size": 320,
    }  # fmt: skip
    assert len(metadata.pop("weights_sha256")) == 64
    assert metadata.pop("licence")
    assert metadata.pop("description")
    assert metadata.pop("variant")
    assert metadata.pop("worker") in service.worker_pids(model)
    assert metadata == {
        "title": "YOLOv5 on TorchServe",
        "model": model,
        "version": "1.0",
        "classes": list(CLASS_NAMES),
        "image_size": 320,
        "precision": "fp32",
        "engine": model.removeprefix("by-"),
        "device": "cpu",
    }
