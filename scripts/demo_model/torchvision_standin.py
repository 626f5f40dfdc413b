"""A module called torchvision with the one function that ultralytics' trainer takes from it.

The trainer imports torchvision to validate; the wheel that pip picks does not load beside a CPU build of torch of
another index. Nothing but the training script uses this.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType

import torch


@contextmanager
def torchvision_stood_in() -> Iterator[None]:
    """Let `import torchvision` find the stand-in inside the block, and what it found before after it."""
    names = ("torchvision", "torchvision.ops")
    before = {name: sys.modules.get(name) for name in names}
    package, operations = (_empty_module(name) for name in names)
    vars(operations)["nms"] = nms
    vars(package)["ops"] = operations
    sys.modules.update({"torchvision": package, "torchvision.ops": operations})
    try:
        yield
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Indices of the boxes kept, highest score first: a box goes if its IoU with a kept one is > iou_threshold.

    boxes (N, 4), xyxy. scores (N,).
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
