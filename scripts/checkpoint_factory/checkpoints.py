"""Writes checkpoints in the original formats with random weights, without downloads or YOLOv5's repository.

The layers are those of ultralytics, pickled under YOLOv5's class names: `models.common.Conv` and so on.
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

from checkpoint_factory.networks import Detect, Layer, Style, build_layers, modules
from checkpoint_factory.random_weights import PASSING_SHARE, adjust_weights

tasks: Any = ultralytics.nn.tasks
LAYER_CLASSES = ("Conv", "C3", "Bottleneck", "BottleneckCSP", "SPP", "SPPF", "Focus", "Concat")


class YoloModel(nn.Module):
    """Holds the data of YOLOv5's model; it is never run."""

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
    """Write a checkpoint of YOLOv5 7.0 (or of another style) at the real width and depth of variant n, s, m, l or x.

    image, passing_share: see adjust_weights.
    """
    names = class_names or [f"thing {index}" for index in range(80)]
    style = style or Style()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = build_layers(variant.removeprefix("yolov5"), len(names), style)
        adjust_weights(layers, image, passing_share)
    # YOLOv5 stores class names as a list until 6.2, as a dict since.
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
    """Write a YOLOv5u checkpoint as ultralytics does. image, passing_share: see adjust_weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = tasks.DetectionModel(f"yolov5{size}.yaml", nc=len(class_names) if class_names else 80, verbose=False)
        if class_names:
            model.names = dict(enumerate(class_names))
        adjust_weights(list(model.model), image, passing_share)
    torch.save({"epoch": -1, "model": model.half(), "ema": None, "train_args": {}, "version": "8.3.0"}, path)
    return path


@contextmanager
def yolov5_modules(model_class: str = "DetectionModel", extra: Sequence[type] = ()) -> Iterator[dict[type, type]]:
    """Make `models.common` and `models.yolo` importable; yields the class in them for each class of this project.

    extra: further classes, whose __module__ is one of these modules.
    """
    yolov5_classes: dict[type, type] = {}
    fake_modules = {name: ModuleType(name) for name in ("models", "models.common", "models.yolo")}
    originals = [("models.common", name, getattr(modules, name)) for name in LAYER_CLASSES]
    originals += [("models.yolo", "Detect", Detect), ("models.yolo", model_class, YoloModel)]
    for module, name, original in originals:
        yolov5_classes[original] = type(name, (original,), {"__module__": module})
        setattr(fake_modules[module], name, yolov5_classes[original])
    for extra_class in extra:
        setattr(fake_modules[extra_class.__module__], extra_class.__name__, extra_class)
    previous_modules = {name: sys.modules.get(name) for name in fake_modules}
    sys.modules.update(fake_modules)
    try:
        yield yolov5_classes
    finally:
        for name, previous in previous_modules.items():
            del sys.modules[name]
            if previous is not None:
                sys.modules[name] = previous


def save_model(
    model: Layer,
    path: Path,
    model_class: str = "DetectionModel",
    *,
    average: Layer | None = None,
    extra: Sequence[type] = (),
) -> None:
    """Write a model, and its moving average if given, as YOLOv5's train.py does: under YOLOv5's class names."""
    with yolov5_modules(model_class, extra) as yolov5_classes:
        for network in (model, average):
            for module in network.modules() if network is not None else ():
                module.__class__ = yolov5_classes.get(type(module), type(module))
        content: dict[str, Any] = {"epoch": -1, "best_fitness": None, "model": model, "ema": average, "optimizer": None}
        torch.save({**content, "opt": {"imgsz": 640}, "date": "2022-11-22T00:00:00"}, path)


def load_reference(path: Path, model_class: str = "DetectionModel") -> Layer:
    """The model of a trusted checkpoint as unfused ultralytics modules in float32."""
    with yolov5_modules(model_class):
        content = torch.load(path, map_location="cpu", weights_only=False)
    model = (content.get("ema") or content["model"]).float().eval()
    for module in model.modules():
        if isinstance(module, nn.Upsample):
            module.recompute_scale_factor = None  # missing in checkpoints of older PyTorch versions
    return model
