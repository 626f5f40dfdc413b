"""Which YOLOv5 variant a network is, derived from its widths and depths; the file's own claims are ignored."""

from collections.abc import Sequence

from .inert_objects import InertObject

# (channels of the first convolution, bottlenecks of the first stage) -> letter of the variant.
_SIZES = {(16, 1): "n", (32, 1): "s", (48, 2): "m", (64, 3): "l", (80, 4): "x"}
# Strides of the head -> (number of stages in backbone and neck, suffix of the name).
_STAGES = {(8, 16, 32): (8, ""), (8, 16, 32, 64): (11, "6")}


def variant_of(layers: Sequence[InertObject], strides: tuple[int, ...], *, anchor_free: bool) -> str:
    """ "yolov5n" to "yolov5x", with "6" for four strides and "u" for an anchor-free head; "custom" for all others."""
    stages = [layer for layer in layers if layer.class_name in ("C3", "BottleneckCSP")]
    stage_count, suffix = _STAGES.get(strides, (0, ""))
    if not stages or len(stages) != stage_count:
        return "custom"
    stem = layers[0].child("conv") if layers[0].class_name == "Focus" else layers[0]
    channels = stem.child("conv").tensor("weight").shape[0] if stem.class_name == "Conv" else 0
    letter = _SIZES.get((channels, len(list(stages[0].child("m").children()))))
    return f"yolov5{letter}{suffix}{'u' if anchor_free else ''}" if letter else "custom"
