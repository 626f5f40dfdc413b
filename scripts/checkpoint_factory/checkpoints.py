"""Checkpoints in the genuine formats, with random weights: tests need neither downloads nor YOLOv5's repository.

The layers are ultralytics' own, pickled under the names that YOLOv5 gave them: `models.common.Conv` and so on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import ultralytics.nn.tasks
from torch import nn

from checkpoint_factory.networks import Detect, Layer, Style, blocks, build_layers
from checkpoint_factory.random_weights import PASSING_SHARE, calibrate

tasks: Any = ultralytics.nn.tasks
COMMON = ("Conv", "C3", "Bottleneck", "BottleneckCSP", "SPP", "SPPF", "Focus", "Concat")


class YoloModel(nn.Module):
    """The data of YOLOv5's model; it is never run."""

    def __init__(self, layers: Sequence[Layer], class_names: object) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)
        self.names = class_names
        self.stride = layers[-1].stride
        self.yaml = {"nc": layers[-1].nc}
        self.inplace = True


def build_checkpoint(
    variant: str,
    path: Path,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    style: Style | None = None,
    image: torch.Tensor | None = None,
    passing_share: float = PASSING_SHARE,
) -> Path:
    """A checkpoint of YOLOv5 7.0 (or of another style) at the variant's real width and depth; n, s, m, l or x.

    image, passing_share: see calibrate.
    """
    names = class_names or [f"thing {index}" for index in range(80)]
    style = style or Style()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = build_layers(variant.removeprefix("yolov5"), len(names), style)
        calibrate(layers, image, passing_share)
    # Lists until 6.2, dicts since.
    model = YoloModel(layers, list(names) if style.layout == "v5" else dict(enumerate(names)))
    save_model(model.half(), path, "Model" if style.layout == "v5" else "DetectionModel")
    return path


def build_anchor_free(
    path: Path,
    class_names: Sequence[str] | None = None,
    seed: int = 0,
    size: str = "n",
    image: torch.Tensor | None = None,
    passing_share: float = PASSING_SHARE,
) -> Path:
    """A YOLOv5u checkpoint, as `ultralytics` saves it. image, passing_share: see calibrate."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = tasks.DetectionModel(f"yolov5{size}.yaml", nc=len(class_names) if class_names else 80, verbose=False)
        if class_names:
            model.names = dict(enumerate(class_names))
        calibrate(list(model.model), image, passing_share)
    torch.save({"epoch": -1, "model": model.half(), "ema": None, "train_args": {}, "version": "8.3.0"}, path)
    return path


@contextmanager
def yolov5_modules(model_class: str = "DetectionModel", extra: Sequence[type] = ()) -> Iterator[dict[type, type]]:
    """Let `models.common` and `models.yolo` be importable; gives the class there for each class here.

    extra: further classes, which name one of these modules as theirs already.
    """
    twins: dict[type, type] = {}
    fakes = {name: ModuleType(name) for name in ("models", "models.common", "models.yolo")}
    here = [("models.common", name, getattr(blocks, name)) for name in COMMON]
    here += [("models.yolo", "Detect", Detect), ("models.yolo", model_class, YoloModel)]
    for module, name, original in here:
        twins[original] = type(name, (original,), {"__module__": module})
        setattr(fakes[module], name, twins[original])
    for one in extra:
        setattr(fakes[one.__module__], one.__name__, one)
    before = {name: sys.modules.get(name) for name in fakes}
    sys.modules.update(fakes)
    try:
        yield twins
    finally:
        for name, earlier in before.items():
            del sys.modules[name]
            if earlier is not None:
                sys.modules[name] = earlier


def save_model(
    model: Layer,
    path: Path,
    model_class: str = "DetectionModel",
    *,
    average: Layer | None = None,
    extra: Sequence[type] = (),
) -> None:
    """Write a model, and its moving average if any, as YOLOv5's train.py does, under YOLOv5's class names."""
    with yolov5_modules(model_class, extra) as twins:
        for one in (model, average):
            for module in one.modules() if one is not None else ():
                module.__class__ = twins.get(type(module), type(module))
        content: dict[str, Any] = {"epoch": -1, "best_fitness": None, "model": model, "ema": average, "optimizer": None}
        torch.save({**content, "opt": {"imgsz": 640}, "date": "2022-11-22T00:00:00"}, path)


def load_reference(path: Path, model_class: str = "DetectionModel") -> Layer:
    """The model of a trusted checkpoint as live, unfused ultralytics modules in float32."""
    with yolov5_modules(model_class):
        content = torch.load(path, map_location="cpu", weights_only=False)
    model = (content.get("ema") or content["model"]).float().eval()
    for module in model.modules():
        if isinstance(module, nn.Upsample):
            module.recompute_scale_factor = None  # Older PyTorch versions had no such attribute.
    return model
