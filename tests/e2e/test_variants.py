"""The variants at their real width and depth, with random weights, in one service."""

from __future__ import annotations

from pathlib import Path

import pytest

from checkpoint_factory.checkpoints import build_checkpoint
from support.pictures import encoded
from support.running_service import command, environment_for, running

MILLION_PARAMETERS = {"yolov5s": 7.2, "yolov5m": 21.2, "yolov5l": 46.5, "yolov5x": 86.7}
NAMES = tuple(f"class {index}" for index in range(80))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("variants")
    weights = folder / "weights"
    weights.mkdir()
    for variant in MILLION_PARAMETERS:
        build_checkpoint(variant, weights / f"{variant}.pt", class_names=NAMES)
    return environment_for(
        folder, YOLOV5_WEIGHTS_DIR=str(weights), YOLOV5_WEIGHTS_URL="http://127.0.0.1:9", WORKERS_PER_MODEL="1"
    )


def test_every_variant_is_archived_registered_and_answers(environment: dict[str, str]) -> None:
    with running(list(MILLION_PARAMETERS), environment) as service:
        client = service.client
        assert sorted(client.models()) == sorted(MILLION_PARAMETERS)
        for variant, millions in MILLION_PARAMETERS.items():
            description = service.describe(variant)
            assert {worker["status"] for worker in description["workers"]} == {"READY"}
            assert description["customizedMetadata"]["variant"] == variant
            assert description["customizedMetadata"]["classes"] == list(NAMES)
            archive = Path(environment["MODEL_STORE"]) / f"{variant}.mar"
            # BatchNorm is folded and all other parameters are float32: four bytes for nearly every parameter.
            assert archive.stat().st_size == pytest.approx(4e6 * millions, rel=0.03)
            answer = client.detect(variant, encoded(seed=4, size_wh=(640, 480)), confidence=0.05)
            assert answer.model == variant
            assert answer.size_wh == (640, 480)


def test_the_engines_return_the_same_detections(tmp_path: Path) -> None:
    environment = environment_for(tmp_path)
    for name, engine in (("by-openvino", "openvino"), ("by-torch", "torch")):
        command_line = ("shapes", "--name", name, "--engine", engine, "--model-store", environment["MODEL_STORE"])
        done = command("archive", *command_line, environment=environment)
        assert done.returncode == 0, done.stderr
    with running(["by-openvino", "by-torch"], environment) as service:
        assert service.describe("by-torch")["customizedMetadata"]["engine"] == "torch"
        for seed, size_wh in enumerate([(320, 320), (640, 480), (50, 400), (1, 300)]):
            picture = encoded(seed, size_wh=size_wh)
            one, other = (service.client.detect(name, picture, confidence=0.1) for name in service.models)
            assert [each.class_id for each in one.detections] == [each.class_id for each in other.detections]
            for first, second in zip(one.detections, other.detections, strict=True):
                assert first.xyxy == pytest.approx(second.xyxy, abs=0.05)
                assert first.confidence == pytest.approx(second.confidence, abs=0.001)
