"""The detection head of a checkpoint: its kind, its modules, and how to decode its maps."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from ..errors import CheckpointError
from .inert_objects import InertObject
from .network_builder import NetworkBuilder

Anchors = tuple[tuple[tuple[float, float], ...], ...]
MAX_STRIDE = 128


@dataclass(frozen=True)
class Head:
    """One head module per stride, and the values that decode their maps.

    anchors: width and height in pixels, per stride; None for an anchor-free head. reg_max: bins of the distribution of
    a box side; None for a head with anchors. channels: of each map.
    """

    kind: Literal["anchor", "anchor_free"]
    modules: tuple[nn.Module, ...]
    strides: tuple[int, ...]
    class_count: int
    anchors: Anchors | None
    reg_max: int | None
    channels: int


def read_head(detect: InertObject, builder: NetworkBuilder) -> Head:
    """The head that a Detect layer describes, with anchors (YOLOv5) or without (YOLOv5u)."""
    if detect.class_name != "Detect":
        raise CheckpointError(f"its last layer is {detect.class_name}; Detect was expected")
    strides = _strides(detect)
    class_count = detect.integer("nc")
    if class_count < 1:
        raise CheckpointError(f"its head has {class_count} classes; at least 1 was expected")
    if detect.attribute("cv2") is None:
        return _anchor_head(detect, builder, strides, class_count)
    return _anchor_free_head(detect, builder, strides, class_count)


def _anchor_head(detect: InertObject, builder: NetworkBuilder, strides: tuple[int, ...], class_count: int) -> Head:
    grid = detect.tensor("anchors")
    if grid.dim() != 3 or grid.shape[0] != len(strides) or grid.shape[2] != 2:
        shape = tuple(grid.shape)
        raise CheckpointError(f"its anchors should have the shape ({len(strides)}, any, 2), and have {shape}")
    # A checkpoint stores anchors in units of grid cells.
    anchors = tuple(
        tuple((float(width) * stride, float(height) * stride) for width, height in stride_anchors)
        for stride_anchors, stride in zip(grid.tolist(), strides, strict=True)
    )
    modules = tuple(builder.build(child) for child in detect.child("m").children())
    return _checked(Head("anchor", modules, strides, class_count, anchors, None, grid.shape[1] * (5 + class_count)))


def _anchor_free_head(detect: InertObject, builder: NetworkBuilder, strides: tuple[int, ...], class_count: int) -> Head:
    reg_max = detect.integer("reg_max")
    pairs = zip(detect.child("cv2").children(), detect.child("cv3").children(), strict=True)
    modules = tuple(builder.branched_head(box, class_score) for box, class_score in pairs)
    return _checked(Head("anchor_free", modules, strides, class_count, None, reg_max, 4 * reg_max + class_count))


def _checked(head: Head) -> Head:
    if len(head.modules) != len(head.strides):
        raise CheckpointError(f"its head has {len(head.modules)} branches for {len(head.strides)} strides")
    return head


def _strides(detect: InertObject) -> tuple[int, ...]:
    values = detect.tensor("stride").flatten().tolist()
    powers = {float(2**exponent) for exponent in range(1, MAX_STRIDE.bit_length())}
    if not 1 <= len(values) <= 8 or not set(values) <= powers:
        raise CheckpointError(f"its strides should be powers of two up to {MAX_STRIDE}, and are {values[:8]}")
    return tuple(int(value) for value in values)
