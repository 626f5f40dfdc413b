"""Archives of the torch engine beside those of OpenVINO: batches, answers, and what a worker holds."""

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
        words = ("shapes", "--name", f"by-{engine}", "--engine", engine, "--model-store", environment["MODEL_STORE"])
        done = command("archive", *words, environment=environment)
        assert done.returncode == 0, done.stderr
    with running(["by-openvino", "by-torch"], environment) as started:
        yield started


def ask(service: Service, model: str, picture: bytes) -> tuple[int, Any]:
    url = f"{service.inference_url}/predictions/{model}"
    response = requests.post(url, data=picture, headers=service.headers, timeout=60)
    return response.status_code, response.json()


def assert_same(found: Any, wanted: Any) -> None:
    """The same detections in the same order, but for rounding: see tests/unit/test_engines.py."""
    assert found["image"] == wanted["image"]
    assert [one["class_id"] for one in found["detections"]] == [one["class_id"] for one in wanted["detections"]]
    for one, other in zip(found["detections"], wanted["detections"], strict=True):
        assert one["xyxy"] == pytest.approx(other["xyxy"], abs=0.05)
        assert one["confidence"] == pytest.approx(other["confidence"], abs=1e-3)


def test_requests_at_once_are_batched_and_answered_as_if_each_were_alone(engines: Service) -> None:
    pictures = [encoded(seed % 6, "PNG", size_wh) for seed, size_wh in enumerate([*SIZES_WH, *[(320, 320)] * 10])]
    pictures += [b"garbage", b""]
    alone = [ask(engines, "by-torch", picture) for picture in pictures]
    assert [status for status, _ in alone] == [200] * 16 + [415, 422]
    together: list[tuple[int, Any]] = []
    with ThreadPoolExecutor(len(pictures)) as pool:
        for _ in range(5):
            answers = list(pool.map(lambda picture: ask(engines, "by-torch", picture), pictures))
            for (status, found), (expected_status, expected) in zip(answers, alone, strict=True):
                assert status == expected_status
                if status == 200:
                    assert_same(found, expected)
                else:
                    assert found == expected
            together += answers
    # Pictures that went through the network in one call say to the microsecond that they were there equally long.
    calls = Counter(found["timings"]["inference"] for status, found in together if status == 200)
    assert max(calls.values()) > 1


@pytest.mark.parametrize("model", ["by-openvino", "by-torch"])
def test_only_a_torch_program_s_workers_hold_torch(engines: Service, model: str) -> None:
    # Twice as many at once as there are workers and places in their batches, so that each of them answers.
    pictures = [encoded(seed, size_wh=size_wh) for seed, size_wh in enumerate(SIZES_WH)] * 4
    with ThreadPoolExecutor(len(pictures)) as pool:
        statuses = {status for status, _ in pool.map(lambda picture: ask(engines, model, picture), pictures)}
    assert statuses == {200}
    assert ask(engines, model, b"garbage")[0] == 415
    assert_describes(engines, model)
    for pid in engines.worker_pids(model):
        assert ("libtorch" in Path(f"/proc/{pid}/maps").read_text()) == (model == "by-torch")


def assert_describes(service: Service, model: str) -> None:
    """Management's description holds the model's own as an object, not as text."""
    own = service.describe(model)["customizedMetadata"]
    # TorchServe leaves out what is null: classes, which by default are all.
    assert own.pop("defaults") == {
        "confidence": 0.25, "iou": 0.45, "max_detections": 1000, "agnostic": False, "multi_label": False,
        "image_size": 320,
    }  # fmt: skip
    assert len(own.pop("weights_sha256")) == 64
    assert own.pop("licence")
    assert own.pop("description")
    assert own.pop("variant")
    assert own.pop("worker") in service.worker_pids(model)
    assert own == {
        "title": "YOLOv5 on TorchServe",
        "model": model,
        "version": "1.0",
        "classes": list(CLASS_NAMES),
        "image_size": 320,
        "precision": "fp32",
        "engine": model.removeprefix("by-"),
        "device": "cpu",
    }
