"""Writes files that are not YOLOv5 detection checkpoints."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from checkpoint_factory.checkpoints import YoloModel, save_model, tasks
from checkpoint_factory.networks import Style, build_layers, modules


class Payload:
    """Creates the file `proof` when it is unpickled, which proves that code of the pickle ran."""

    def __init__(self, proof: Path) -> None:
        self._proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self._proof}",)


def malicious(path: Path, proof: Path) -> None:
    torch.save({"model": Payload(proof)}, path)


def malicious_bare_pickle(path: Path, proof: Path, protocol: int) -> None:
    path.write_bytes(pickle.dumps(Payload(proof), protocol))


def malicious_new_protocol(path: Path, proof: Path) -> None:
    torch.save({"model": Payload(proof)}, path, pickle_protocol=4)


def state_dict(path: Path) -> None:
    torch.save(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)).state_dict(), path)


def torchscript(path: Path) -> None:
    """A zip with the entries of a TorchScript program: torch.jit.save is deprecated."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("data.pkl", "code/__torch__/network.py", "constants.pkl", "version"):
            archive.writestr(f"archive/{name}", b"")


def exported_program(path: Path) -> None:
    torch.export.save(torch.export.export(nn.ReLU(), (torch.zeros(2),)), path)


def onnx(path: Path) -> None:
    path.write_bytes(b"\x08\x08\x12\x07pytorch\x1a\x05" + bytes(200))


def yolov8(path: Path) -> None:
    _ultralytics(path, tasks.DetectionModel("yolov8n.yaml", verbose=False))


def yolo11(path: Path) -> None:
    _ultralytics(path, tasks.DetectionModel("yolo11n.yaml", verbose=False))


def yolov8_segmentation(path: Path) -> None:
    _ultralytics(path, tasks.SegmentationModel("yolov8n-seg.yaml", verbose=False))


def yolov8_pose(path: Path) -> None:
    _ultralytics(path, tasks.PoseModel("yolov8n-pose.yaml", verbose=False))


def yolov8_classification(path: Path) -> None:
    _ultralytics(path, tasks.ClassificationModel("yolov8n-cls.yaml", verbose=False))


def yolov5_segmentation(path: Path) -> None:
    model = tiny_model()
    head = model.model[-1]
    head.__class__ = type("Segment", (type(head),), {"__module__": "models.yolo"})
    save_model(model, path, "SegmentationModel", extra=[type(head)])


def yolov5_classification(path: Path) -> None:
    model = tiny_model()
    classify = type("Classify", (nn.Linear,), {"__module__": "models.common"})
    model.model.append(classify(8, 2))
    save_model(model, path, "ClassificationModel", extra=[classify])


def unknown_layer(path: Path) -> None:
    model = tiny_model()
    layer = type("GhostConv", (nn.Conv2d,), {"__module__": "models.common"})(3, 3, 1)
    layer.i, layer.f = 0, -1
    model.model[0] = layer
    save_model(model, path, extra=[type(layer)])


def deflated_bomb(path: Path) -> None:
    """A zip whose data.pkl unpacks to a thousand times its size."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))


def stretched_tensor(path: Path) -> None:
    """A weight of a billion values that share one stored number."""
    model = tiny_model()
    model.model[-1].m[0].weight = nn.Parameter(torch.zeros(1).expand(21, 50_000_000, 1, 1))
    save_model(model, path)


def shared_storage(path: Path) -> None:
    """Many layers that share one stored weight: small on disk, large in memory."""
    model = tiny_model()
    shared = modules.Conv(64, 64, 3)
    layers: Any = nn.Sequential(*(modules.Conv(64, 64, 3) for _ in range(300)))
    for layer in layers:
        layer.conv.weight = shared.conv.weight
    layers.i, layers.f = 0, -1
    model.model[0] = layers
    save_model(model, path)


def nested(path: Path) -> None:
    """Nested layers, forty deep and each used twice: 2 ** 40 in all."""
    model = tiny_model()
    layer: Any = nn.MaxPool2d(1)
    for _ in range(40):
        layer = nn.Sequential(layer, layer)
    layer.i, layer.f = 0, -1
    model.model[0] = layer
    save_model(model, path)


def missing_storage(path: Path) -> None:
    """A checkpoint without one of its tensors' files."""
    complete = path.with_suffix(".complete")
    save_model(tiny_model(), complete)
    with zipfile.ZipFile(complete) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith("data/3"):
                target.writestr(entry, source.read(entry))


def legacy_format(path: Path) -> None:
    torch.save({"model": None}, path, _use_new_zipfile_serialization=False)


def lfs_pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4f180cf2\nsize 4062133\n")


def noise(path: Path) -> None:
    path.write_bytes(bytes(range(255, 127, -1)))


def tiny_model(class_names: object = ("one", "two"), size: str = "n", width: float | None = None) -> Any:
    """A YOLOv5 detection model of two classes with torch's initial weights; width is relative to l."""
    return YoloModel(build_layers(size, 2, Style(width=width)), class_names)


def _ultralytics(path: Path, model: nn.Module) -> None:
    torch.save({"model": model.half(), "ema": None, "train_args": {}}, path)


WRITERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a text file": (lambda path: path.write_text("some text\n"), "it is a text file"),
    "an empty file": (Path.touch, "the file is empty"),
    "noise": (noise, "not a file that torch.save wrote"),
    "a Git LFS pointer": (lfs_pointer, "Git LFS pointer"),
    "a web page": (lambda path: path.write_text("<!DOCTYPE html><p>404</p>"), "web page"),
    "an ONNX model": (onnx, "ONNX"),
    "a TorchScript program": (torchscript, "TorchScript"),
    "a torch.export program": (exported_program, "torch.export program"),
    "a plain state dict": (state_dict, "plain state dict"),
    "a file of PyTorch before 1.6": (legacy_format, "PyTorch before 1.6"),
    "YOLOv8": (yolov8, "a YOLOv8 detection model"),
    "YOLO11": (yolo11, "a YOLO11 or later detection model"),
    "YOLOv8 segmentation": (yolov8_segmentation, "a YOLOv8 segmentation model"),
    "YOLOv8 pose": (yolov8_pose, "a YOLOv8 pose model"),
    "YOLOv8 classification": (yolov8_classification, "a YOLOv8 classification model"),
    "YOLOv5 segmentation": (yolov5_segmentation, "a YOLOv5 segmentation model"),
    "YOLOv5 classification": (yolov5_classification, "a YOLOv5 classification model"),
    "an unknown layer": (unknown_layer, "GhostConv, which is not supported"),
    "a zip bomb": (deflated_bomb, "unpack to 50000000 bytes"),
    "a stretched tensor": (stretched_tensor, "claims 1050000000 values"),
    "one weight many times": (shared_storage, "more weights than the file can hold"),
    "nested layers": (nested, "more layers than any YOLOv5 model|nested too deeply"),
    "a missing tensor": (missing_storage, "damaged"),
}
