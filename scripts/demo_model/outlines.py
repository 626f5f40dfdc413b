"""The outlines of the six shapes, and the pixels that a shape covers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

CLASS_NAMES: tuple[str, ...] = ("circle", "square", "triangle", "star", "cross", "heart")

_SUBPIXELS = 4  # of a pixel, in each direction
FULL_COVERAGE = _SUBPIXELS**2

Corners = list[tuple[float, float]]


@dataclass(frozen=True)
class Shape:
    """A shape in a picture. centre_xy, radius (of the enclosing circle): pixels. angle: radians."""

    class_id: int
    centre_xy: tuple[float, float]
    radius: float
    angle: float


def coverage(shape: Shape, size_hw: tuple[int, int]) -> NDArray[np.int32]:
    """Number of subpixels that the shape covers in each pixel: (H, W), 0 to FULL_COVERAGE."""
    height, width = size_hw
    covered = np.zeros((height, width), dtype=np.int32)
    (x, y), reach = shape.centre_xy, shape.radius + 1
    left, top = max(0, math.floor(x - reach)), max(0, math.floor(y - reach))
    right, bottom = min(width, math.ceil(x + reach)), min(height, math.ceil(y + reach))
    if left >= right or top >= bottom:
        return covered
    window = Image.new("L", ((right - left) * _SUBPIXELS, (bottom - top) * _SUBPIXELS))
    corners = [(round((x - left) * _SUBPIXELS), round((y - top) * _SUBPIXELS)) for x, y in corners_of(shape)]
    ImageDraw.Draw(window).polygon(corners, fill=1)
    subpixels = np.asarray(window, dtype=np.int32).reshape(bottom - top, _SUBPIXELS, right - left, _SUBPIXELS)
    covered[top:bottom, left:right] = subpixels.sum(axis=(1, 3))
    return covered


def area_of(shape: Shape) -> float:
    """Area of the outline in square pixels, including the area outside the picture."""
    corners = corners_of(shape)
    sides = zip(corners, [*corners[1:], corners[0]], strict=True)
    return abs(sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in sides)) / 2


def corners_of(shape: Shape) -> Corners:
    """Corners of the outline, in pixels."""
    cosine, sine = math.cos(shape.angle) * shape.radius, math.sin(shape.angle) * shape.radius
    (centre_x, centre_y), corners = shape.centre_xy, _UNIT_OUTLINES[CLASS_NAMES[shape.class_id]]
    return [(centre_x + x * cosine - y * sine, centre_y + x * sine + y * cosine) for x, y in corners]


def _polar(radii: list[float]) -> Corners:
    """Corners at equal angles around the origin at these distances; the first one is at the top."""
    step = 2 * math.pi / len(radii)
    return [(radius * math.sin(i * step), -radius * math.cos(i * step)) for i, radius in enumerate(radii)]


def _cross() -> Corners:
    quarters = ((0.33, -0.94), (0.33, -0.33), (0.94, -0.33), (0.94, 0.33), (0.33, 0.33), (0.33, 0.94))
    return [(x * sign, y * sign) for sign in (1, -1) for x, y in quarters]


def _heart() -> Corners:
    """Two round lobes and a tip: a sum of cosines inside the unit circle."""
    corners = []
    for turn in (2 * math.pi * i / 48 for i in range(48)):
        lobes = 13 * math.cos(turn) - 5 * math.cos(2 * turn) - 2 * math.cos(3 * turn) - math.cos(4 * turn)
        corners.append((0.92 * math.sin(turn) ** 3, -0.1 - 0.0535 * lobes))
    return corners


_UNIT_OUTLINES: dict[str, Corners] = {
    "circle": _polar([1.0] * 96),
    "square": _polar([1.0] * 4),
    "triangle": _polar([1.0] * 3),
    "star": _polar([1.0, 0.42] * 5),
    "cross": _cross(),
    "heart": _heart(),
}
