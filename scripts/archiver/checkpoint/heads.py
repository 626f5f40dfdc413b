"""The detection head of a checkpoint: which kind it is, and what its maps mean."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from ..errors import CheckpointError
from .inert_objects import Part
from .network_builder import Builder

Anchors = tuple[tuple[tuple[float, float], ...], ...]
MAX_STRIDE = 128


@dataclass(frozen=True)
class Head:
    """One head module per stride, and what decodes their maps.

    anchors: width and height in pixels, per stride, None without anchors. reg_max: bins of a box side's distribution.
    """

    kind: Literal["anchor", "anchor_free"]
    modules: tuple[nn.Module, ...]
    strides: tuple[int, ...]
    class_count: int
    anchors: Anchors | None
    reg_max: int | None
    channels: int
    """Channels of each map."""


def read_head(part: Part, builder: Builder) -> Head:
    """The head that a Detect layer describes, whether with anchors (YOLOv5) or without (YOLOv5u)."""
    if part.class_name != "Detect":
        raise CheckpointError(f"its last layer is {part.class_name}, and Detect was expected")
    strides = _strides(part)
    class_count = part.integer("nc")
    if class_count < 1:
        raise CheckpointError(f"its head has {class_count} classes, and at least 1 was expected")
    if part.attribute("cv2") is None:
        return _anchor_head(part, builder, strides, class_count)
    return _anchor_free_head(part, builder, strides, class_count)


def _anchor_head(part: Part, builder: Builder, strides: tuple[int, ...], class_count: int) -> Head:
    grid = part.tensor("anchors")
    if grid.dim() != 3 or grid.shape[0] != len(strides) or grid.shape[2] != 2:
        shape = tuple(grid.shape)
        raise CheckpointError(f"its anchors should have the shape ({len(strides)}, any, 2), and have {shape}")
    # The checkpoint holds anchors in cells of their grid.
    anchors = tuple(
        tuple((float(width) * stride, float(height) * stride) for width, height in level)
        for level, stride in zip(grid.tolist(), strides, strict=True)
    )
    modules = tuple(builder.build(child) for child in part.child("m").children())
    return _checked(Head("anchor", modules, strides, class_count, anchors, None, grid.shape[1] * (5 + class_count)))


def _anchor_free_head(part: Part, builder: Builder, strides: tuple[int, ...], class_count: int) -> Head:
    reg_max = part.integer("reg_max")
    pairs = zip(part.child("cv2").children(), part.child("cv3").children(), strict=True)
    modules = tuple(builder.split_head(box, class_score) for box, class_score in pairs)
    return _checked(Head("anchor_free", modules, strides, class_count, None, reg_max, 4 * reg_max + class_count))


def _checked(head: Head) -> Head:
    if len(head.modules) != len(head.strides):
        raise CheckpointError(f"its head has {len(head.modules)} branches for {len(head.strides)} strides")
    return head


def _strides(part: Part) -> tuple[int, ...]:
    values = part.tensor("stride").flatten().tolist()
    powers = {float(2**exponent) for exponent in range(1, MAX_STRIDE.bit_length())}
    if not 1 <= len(values) <= 8 or not set(values) <= powers:
        raise CheckpointError(f"its strides should be powers of two up to {MAX_STRIDE}, and are {values[:8]}")
    return tuple(int(value) for value in values)
