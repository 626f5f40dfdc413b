"""A stub of torchvision with `nms`, the only function that ultralytics uses.

ultralytics imports torchvision; the wheel that pip chooses does not load beside a CPU build of torch from another
index. Only the training script and the benchmark use this stub.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType

import torch


@contextmanager
def stubbed_torchvision() -> Iterator[None]:
    """Make `import torchvision` return the stub inside the block, and restore the earlier modules after it."""
    names = ("torchvision", "torchvision.ops")
    previous_modules = {name: sys.modules.get(name) for name in names}
    package, operations = (_empty_module(name) for name in names)
    vars(operations)["nms"] = nms
    vars(package)["ops"] = operations
    sys.modules.update({"torchvision": package, "torchvision.ops": operations})
    try:
        yield
    finally:
        for name, previous in previous_modules.items():
            sys.modules.pop(name)
            if previous is not None:
                sys.modules[name] = previous


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Indices of the kept boxes, highest score first: a box is removed if its IoU with a kept one is > iou_threshold.

    boxes (N, 4) xyxy, scores (N,) in 0..1.
    """
    order = scores.argsort(descending=True, stable=True)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    kept: list[torch.Tensor] = []
    while order.numel() > 0:
        best, order = order[0], order[1:]
        kept.append(best)
        top_left = torch.maximum(boxes[best, :2], boxes[order, :2])
        bottom_right = torch.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = (bottom_right - top_left).clamp(min=0).prod(dim=1)
        order = order[shared <= iou_threshold * (areas[best] + areas[order] - shared)]
    return torch.stack(kept) if kept else scores.new_zeros(0, dtype=torch.long)


def _empty_module(name: str) -> ModuleType:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, loader=None, is_package=name == "torchvision")
    module.__path__ = []
    return module
