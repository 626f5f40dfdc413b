"""YOLOv5's networks as lists of ultralytics' modules, unfused, which run one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import ultralytics.nn.modules
from torch import nn

SIZES = {"n": (0.33, 0.25), "s": (0.33, 0.50), "m": (0.67, 0.75), "l": (1.0, 1.0), "x": (1.33, 1.25)}
"""Depth and width of each variant, relative to l."""
PARAMETERS = {"n": 1_872_157, "s": 7_235_389, "m": 21_190_557, "l": 46_563_709, "x": 86_749_405}
"""Number of parameters of the official models with 80 classes, BatchNorm included."""
ANCHORS = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
ANCHORS_P6 = (
    ((19, 27), (44, 40), (38, 94)),
    ((96, 68), (86, 152), (180, 137)),
    ((140, 301), (303, 264), (238, 542)),
    ((436, 615), (739, 380), (925, 792)),
)

# Any: layers have YOLOv5's attributes, such as f, which torch.nn.Module does not declare.
Layer = Any
LayerPlan = list[tuple[Any, Layer, int]]  # layers that it reads, layer, output channels
modules: Any = ultralytics.nn.modules
Layout = Literal["v7", "v5", "p6"]


@dataclass(frozen=True)
class Style:
    """The differences between releases: layout, module of the stages, activation. width: relative to l, if given."""

    layout: Layout = "v7"
    stage: Literal["C3", "BottleneckCSP"] = "C3"
    activation: type[nn.Module] = nn.SiLU
    width: float | None = None


class Detect(nn.Module):
    """Holds the data of YOLOv5's anchor head; it is never run."""

    def __init__(self, class_count: int, anchors: Sequence[Sequence[tuple[int, int]]], channels: Sequence[int]) -> None:
        super().__init__()
        strides = torch.tensor([8.0 * 2**level for level in range(len(anchors))])
        self.nc, self.no, self.nl, self.na = class_count, class_count + 5, len(anchors), len(anchors[0])
        self.stride = strides
        self.register_buffer("anchors", torch.tensor(anchors).float() / strides.view(-1, 1, 1))
        self.m = nn.ModuleList(nn.Conv2d(width, self.no * self.na, 1) for width in channels)


def build_layers(size: str, class_count: int, style: Style) -> list[Layer]:
    """The layers of a variant, each with the attributes i (its index) and f (the layers that it reads)."""
    plan = _p6_plan(size, style) if style.layout == "p6" else _p5_plan(size, style)
    head_sources, channels = plan[-1][0], []
    layers: list[Layer] = []
    for source, layer, width in plan[:-1]:
        layers.append(layer)
        channels.append(width)
        layer.i, layer.f = len(layers) - 1, source
    assert isinstance(head_sources, list)
    anchors = ANCHORS_P6 if style.layout == "p6" else ANCHORS
    detect: Layer = Detect(class_count, anchors, [channels[index] for index in head_sources])
    detect.i, detect.f = len(layers), head_sources
    layers.append(detect)
    for module in (module for layer in layers for module in layer.modules()):
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = 1e-3, 0.03
        if isinstance(module, (modules.Conv, modules.BottleneckCSP)):
            module.act = style.activation()
    return layers


class _Planner:
    """Appends layers at a variant's width and depth. full: channels in variant l. other, source: indices of layers."""

    def __init__(self, size: str, style: Style) -> None:
        self._depth, width = SIZES[size]
        self._width = style.width or width
        self._stage = getattr(modules, style.stage)
        self.plan: LayerPlan = []

    def channels(self, full: int) -> int:
        """Channels of this variant where variant l has `full`."""
        return math.ceil(full * self._width / 8) * 8

    def add(self, layer: Layer, width: int, source: int | list[int] = -1) -> None:
        self.plan.append((source, layer, width))

    def conv(self, full: int, kernel: int = 3, stride: int = 2) -> None:
        before, width = self.plan[-1][2], self.channels(full)
        self.add(modules.Conv(before, width, kernel, stride), width)

    def stage(self, full: int, repeats: int, shortcut: bool = True) -> None:
        before, width = self.plan[-1][2], self.channels(full)
        self.add(self._stage(before, width, max(round(repeats * self._depth), 1), shortcut), width)

    def concat(self, other: int) -> None:
        self.add(modules.Concat(1), self.plan[-1][2] + self.plan[other][2], [-1, other])

    def up(self, full: int, other: int) -> None:
        self.conv(full, 1, 1)
        self.add(nn.Upsample(None, 2, "nearest"), self.plan[-1][2])
        self.concat(other)
        self.stage(full, 3, shortcut=False)

    def down(self, full: int, other: int, out: int) -> None:
        self.conv(full)
        self.concat(other)
        self.stage(out, 3, shortcut=False)

    def spp(self, full: int) -> None:
        self.add(modules.SPP(self.plan[-1][2], self.channels(full)), self.channels(full))

    def sppf(self, full: int) -> None:
        layer = modules.SPPF(self.plan[-1][2], self.channels(full))
        del layer.n, layer.add  # YOLOv5's SPPF has neither
        self.add(layer, self.channels(full))

    def stem(self, focus: bool) -> None:
        width = self.channels(64)
        self.add(modules.Focus(3, width, 3) if focus else modules.Conv(3, width, 6, 2, 2), width)


def _p5_plan(size: str, style: Style) -> LayerPlan:
    old = style.layout == "v5"
    planner = _Planner(size, style)
    planner.stem(focus=old)
    for full, repeats in ((128, 3), (256, 9 if old else 6), (512, 9)):
        planner.conv(full)
        planner.stage(full, repeats)
    planner.conv(1024)
    if old:
        planner.spp(1024)
        planner.stage(1024, 3, shortcut=False)
    else:
        planner.stage(1024, 3)
        planner.sppf(1024)
    planner.up(512, 6)
    planner.up(256, 4)
    planner.down(256, 14, 512)
    planner.down(512, 10, 1024)
    return [*planner.plan, ([17, 20, 23], None, 0)]


def _p6_plan(size: str, style: Style) -> LayerPlan:
    planner = _Planner(size, style)
    planner.stem(focus=False)
    for full, repeats in ((128, 3), (256, 6), (512, 9), (768, 3), (1024, 3)):
        planner.conv(full)
        planner.stage(full, repeats)
    planner.sppf(1024)
    planner.up(768, 8)
    planner.up(512, 6)
    planner.up(256, 4)
    planner.down(256, 20, 512)
    planner.down(512, 16, 768)
    planner.down(768, 12, 1024)
    return [*planner.plan, ([23, 26, 29, 32], None, 0)]


def run_layers(layers: Sequence[Layer], image: torch.Tensor) -> list[torch.Tensor]:
    """The outputs of all layers but the head, unfused: the slow reference."""
    maps: list[torch.Tensor] = []
    for layer in layers[:-1]:
        sources = layer.f if isinstance(layer.f, list) else [layer.f]
        inputs = [(image if not maps else maps[source]) for source in sources]
        maps.append(layer(inputs if isinstance(layer, modules.Concat) else inputs[0]))
    return maps


def run_head(detect: Layer, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The raw map of each stride."""
    inputs = [maps[source] for source in detect.f]
    if hasattr(detect, "m"):
        return [branch(level) for branch, level in zip(detect.m, inputs, strict=True)]
    pairs = zip(detect.cv2, detect.cv3, inputs, strict=True)
    return [torch.cat((box(level), class_score(level)), 1) for box, class_score, level in pairs]
