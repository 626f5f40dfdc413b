"""The engines against each other, and the detector with an engine that takes pictures of one shape in one call.

The code for CUDA runs here on the CPU, and on CUDA if it is available.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from archiver.build import describe
from archiver.checkpoint.reader import load_checkpoint
from archiver.export.graph import export_openvino, export_torch
from archiver.export.split_head import split_head
from archiver.options import ArchiveOptions
from archiver.weights import EMBEDDED
from checkpoint_factory.checkpoints import build_checkpoint
from checkpoint_factory.networks import Style
from demo_model.generator import draw
from detection.detector import Detector
from detection.engine import Engine, Maps, OpenVINOEngine, Pixels, TorchEngine
from detection.errors import DetectionError, ImageTooLarge, InvalidImage, UnsupportedImage
from detection.head import load_head
from detection.model_description import ModelDescription
from detection.options import Options
from detection.records import Detections, Task
from support.pictures import TEST_SEED, blank, crowded, encoded

pytestmark = pytest.mark.usefixtures("one_torch_thread")

MAX_PIXELS = 1_000_000
OPTIONS = Options(image_size=320)
# Letterboxed to 320 they have five shapes; several pictures share two of them.
SIZES_WH = [(320, 320), (320, 240), (200, 200), (120, 400), (640, 480), (1, 300), (320, 320), (900, 300)]
# The order of additions differs between one picture and a batch, which changes the last bits of a float32: about 1e-5
# of a logit, or thousandths of a pixel in a box of a few hundred pixels.
ROUNDING = {"pixels": 0.01, "confidence": 1e-4}
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@dataclass
class Recorder:
    """An engine that records its calls, and runs out of memory for inputs of one height and width."""

    engine: Engine
    too_large_hw: tuple[int, int] | None = None
    name: str = "recorder"
    lanes: int = 2
    batches: bool = True
    calls: list[tuple[tuple[int, ...], bool]] = field(default_factory=list)

    def infer(self, pixels: Pixels, alone: bool) -> Maps:
        self.calls.append((pixels.shape, alone))
        if pixels.shape[1:3] == self.too_large_hw:
            raise torch.OutOfMemoryError("out of memory")
        return self.engine.infer(pixels, alone)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unpacked archive of a small network with anchors: both engines' programs, the head and model.json."""
    unpacked = tmp_path_factory.mktemp("anchored")
    checkpoint = build_checkpoint("n", unpacked / "small.pt", ["cat", "dog"], style=Style(width=0.125))
    export(checkpoint, unpacked, "openvino", "torch")
    return unpacked


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model as a torch program. It has no anchors, and it is trained."""
    unpacked = tmp_path_factory.mktemp("shapes")
    export(EMBEDDED, unpacked, "torch")
    return unpacked


def export(checkpoint: Path, unpacked: Path, *engines: str) -> None:
    """Write the files of archives for these engines, without the handler."""
    loaded = load_checkpoint(checkpoint)
    split = split_head(loaded.network, loaded.anchors)
    split.save(unpacked)
    if "openvino" in engines:
        export_openvino(split.network, split.output_names, loaded.strides, unpacked)
    export_torch(split.network, loaded.strides, unpacked)
    describe(loaded, ArchiveOptions("small", unpacked), "").write(unpacked / "model.json")


@pytest.fixture(scope="module")
def on_torch(folder: Path) -> TorchEngine:
    return TorchEngine(folder / "model.pt2", "cpu", 1)


@pytest.fixture(scope="module")
def on_openvino(folder: Path) -> OpenVINOEngine:
    return OpenVINOEngine(folder / "model.xml", 1, 1)


def detector_of(folder: Path, engine: Engine) -> Detector:
    head = load_head(folder, ModelDescription.read(folder / "model.json"))
    return Detector(engine, head, MAX_PIXELS)


def tasks_of(pictures: Sequence[bytes], options: Options = OPTIONS) -> list[Task]:
    return [Task(picture, options) for picture in pictures]


def pictures_of_many_shapes() -> list[bytes]:
    forms = ["JPEG", "PNG", "WEBP", "BMP"]
    return [encoded(seed, forms[seed % 4], size_wh) for seed, size_wh in enumerate(SIZES_WH)]


def assert_same(
    actual: Detections | Exception, expected: Detections | Exception, pixels: float, confidence: float
) -> None:
    """The same detections within these tolerances; the order of equally confident ones may differ."""
    assert isinstance(actual, Detections), actual
    assert isinstance(expected, Detections), expected
    assert actual.image_hw == expected.image_hw
    assert len(actual.boxes) == len(expected.boxes)
    # Differences in units of the tolerance. The confidences distinguish boxes that were clipped to the same rest.
    difference = np.abs(actual.boxes[:, None] - expected.boxes[None]).max(axis=2, initial=0) / pixels
    difference = np.maximum(difference, np.abs(actual.confidences[:, None] - expected.confidences[None]) / confidence)
    difference[actual.class_ids[:, None] != expected.class_ids[None]] = np.inf
    nearest = [int(row.argmin()) for row in difference]
    assert sorted(nearest) == list(range(len(nearest)))
    assert max((row.min() for row in difference), default=0) <= 1


@pytest.mark.parametrize("options", [OPTIONS, Options(image_size=320, confidence=0.1, multi_label=True)])
def test_both_engines_find_the_same(
    folder: Path, on_torch: TorchEngine, on_openvino: OpenVINOEngine, options: Options
) -> None:
    tasks = tasks_of([*pictures_of_many_shapes(), crowded()], options)
    by_torch, by_openvino = (detector_of(folder, engine).detect(tasks) for engine in (on_torch, on_openvino))
    assert sum(len(result.boxes) for result in by_torch if isinstance(result, Detections)) > 20
    for first, second in zip(by_torch, by_openvino, strict=True):
        assert_same(first, second, pixels=0.05, confidence=1e-3)


def test_each_picture_of_a_batch_has_the_result_that_it_has_alone(folder: Path, on_torch: TorchEngine) -> None:
    good = pictures_of_many_shapes()
    bad: list[tuple[bytes, type[DetectionError]]] = [
        (encoded(0)[:900], InvalidImage),
        (blank((1200, 900)), ImageTooLarge),
        (b"garbage", UnsupportedImage),
        (b"", InvalidImage),
    ]
    # Invalid pictures at both ends and in between; each valid one twice, so that the order of equal ones counts too.
    pictures = [bad[0][0], *good[:3], bad[1][0], *good, bad[2][0], *good[3:], bad[3][0]]
    engine = Recorder(on_torch)
    detector = detector_of(folder, engine)
    together = detector.detect(tasks_of(pictures))
    assert len(engine.calls) == len({shape[1:3] for shape, _ in engine.calls}) == 5
    assert sum(shape[0] for shape, _ in engine.calls) == 2 * len(good)
    assert {alone for _, alone in engine.calls} == {False}
    lone = {picture: detector.detect(tasks_of([picture]))[0] for picture in pictures}
    kinds = dict(bad)
    for picture, result in zip(pictures, together, strict=True):
        if picture in kinds:
            assert type(result) is kinds[picture]
            assert str(result) == str(lone[picture])
        else:
            assert_same(result, lone[picture], **ROUNDING)


def test_each_picture_of_a_batch_has_its_own_options(folder: Path, on_torch: TorchEngine) -> None:
    picture = crowded()
    several = [OPTIONS, Options(image_size=320, confidence=0.9), Options(max_detections=1), Options(image_size=32)]
    detector = detector_of(folder, on_torch)
    together = detector.detect([Task(picture, options) for options in several])
    for options, result in zip(several, together, strict=True):
        assert_same(result, detector.detect([Task(picture, options)])[0], **ROUNDING)


def test_more_pictures_of_one_shape_than_a_program_takes_are_split(
    folder: Path, on_torch: TorchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detection.detector.MAX_BATCH", 2)
    pictures = [encoded(seed, "PNG", size_wh) for seed, size_wh in enumerate([(320, 320), (320, 160)] * 3)]
    pictures += [encoded(seed, "PNG", (320, 320)) for seed in range(6, 8)]
    engine = Recorder(on_torch)
    together = detector_of(folder, engine).detect(tasks_of(pictures))
    assert [shape[:3] for shape, _ in engine.calls] == [
        (2, 320, 320), (2, 320, 320), (1, 320, 320), (2, 160, 320), (1, 160, 320)
    ]  # fmt: skip
    for picture, result in zip(pictures, together, strict=True):
        assert_same(result, detector_of(folder, on_torch).detect(tasks_of([picture]))[0], **ROUNDING)


def test_a_full_batch_of_one_shape_is_one_call(folder: Path, on_torch: TorchEngine) -> None:
    pictures = [encoded(seed, "PNG", (64, 64)) for seed in range(4)] * 16
    engine = Recorder(on_torch)
    options = Options(image_size=64)
    together = detector_of(folder, engine).detect(tasks_of(pictures, options))
    assert engine.calls == [((64, 64, 64, 3), False)]
    for index, result in enumerate(together):
        assert_same(result, together[index % 4], **ROUNDING)


def test_an_error_of_the_engine_affects_only_the_pictures_of_its_call(folder: Path, on_torch: TorchEngine) -> None:
    pictures = pictures_of_many_shapes()
    engine = Recorder(on_torch, too_large_hw=(320, 320))
    together = detector_of(folder, engine).detect(tasks_of([*pictures, encoded(0)[:900]]))
    square = {index for index, (width, height) in enumerate(SIZES_WH) if width == height}
    assert len(square) == 3
    for index, (picture, result) in enumerate(zip(pictures, together, strict=False)):
        if index in square:
            assert isinstance(result, torch.OutOfMemoryError)
        else:
            assert_same(result, detector_of(folder, on_torch).detect(tasks_of([picture]))[0], **ROUNDING)
    assert isinstance(together[-1], InvalidImage)


def test_an_error_of_a_single_picture_is_returned_not_raised(folder: Path, on_torch: TorchEngine) -> None:
    engine = Recorder(on_torch, too_large_hw=(320, 320))
    [result] = detector_of(folder, engine).detect(tasks_of([encoded(0, "PNG", (320, 320))]))
    assert isinstance(result, torch.OutOfMemoryError)


def test_the_engine_is_not_called_without_pictures(folder: Path, on_torch: TorchEngine) -> None:
    engine = Recorder(on_torch)
    assert detector_of(folder, engine).detect([]) == []
    assert detector_of(folder, engine).detect(tasks_of([b"", b"garbage"]))
    assert engine.calls == []


@pytest.mark.parametrize("device", DEVICES)
def test_half_precision_finds_the_same_clear_objects(shapes: Path, device: str) -> None:
    tasks = tasks_of([encoded(seed, "PNG") for seed in range(3)])
    engine = TorchEngine(shapes / "model.pt2", "cpu", 1)
    exact = detector_of(shapes, engine).detect(tasks)
    if device == "cpu":
        engine._dtype = torch.float16
        engine._module.to(torch.float16)
    else:
        engine = TorchEngine(shapes / "model.pt2", device, 1)  # uses half precision by default
    for seed, (expected, result) in enumerate(zip(exact, detector_of(shapes, engine).detect(tasks), strict=True)):
        assert isinstance(expected, Detections), expected
        assert isinstance(result, Detections), result
        clear = np.flatnonzero(expected.confidences > 0.5)
        assert len(clear) >= len(draw(TEST_SEED + seed).class_ids) - 1
        for index in clear:
            # The box may come from a neighbouring cell that detects the same object: measured, up to 0.94 pixels.
            distances = np.abs(result.boxes - expected.boxes[index]).max(axis=1)
            nearest = int(distances.argmin())
            assert distances[nearest] < 2.0
            assert result.class_ids[nearest] == expected.class_ids[index]
            assert result.confidences[nearest] == pytest.approx(expected.confidences[index], abs=0.01)


@pytest.mark.parametrize(("batches", "several"), [(True, [4]), (False, [1, 1])])
def test_a_warm_up_makes_both_kinds_of_calls(
    folder: Path, on_torch: TorchEngine, batches: bool, several: list[int]
) -> None:
    engine = Recorder(on_torch, batches=batches)
    detector_of(folder, engine).warm_up(OPTIONS)
    assert [shape for shape, alone in engine.calls if alone] == [(1, 320, 320, 3)]
    assert [shape for shape, alone in engine.calls if not alone] == [(count, 320, 320, 3) for count in several]
