"""Draws pictures of coloured shapes with exact boxes, one for each seed.

Corners and weights are rounded once, and colours are blended as whole numbers: a seed gives the same picture on every
platform.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from demo_model.outlines import CLASS_NAMES, FULL_COVERAGE, Shape, area_of, coverage

__all__ = ["CLASS_NAMES", "LabelledPicture", "draw"]

MIN_VISIBLE = 0.75  # visible share of a shape that later shapes and the picture's edge partly hide
MAX_BOX_IOU = 0.30  # between any two boxes: suppression then keeps both
MIN_CONTRAST = 110.0  # distance in RGB between the colours of a shape and of everything below it

_SIDE_RANGE = (224, 512)  # longer side of a picture, pixels
_DIAMETER_RANGE = (0.085, 0.42)  # of the circle around a shape, as a fraction of the longer side
_MAX_PLACEMENT_TRIES = 12
_MAX_COLOUR_TRIES = 30

Colour = NDArray[np.int32]


@dataclass(frozen=True)
class LabelledPicture:
    """A picture and the shapes in it, in the order of drawing.

    image: RGB uint8 (H, W, 3). boxes_xyxy: float32 (N, 4), pixel edges: the smallest box around all visible pixels of
    the shape. A pixel belongs to the topmost shape that covers at least half of it. class_ids: int64 (N,).
    """

    image: NDArray[np.uint8]
    boxes_xyxy: NDArray[np.float32]
    class_ids: NDArray[np.int64]


@dataclass
class _Canvas:
    """A picture in progress. owner (H, W): index of the shape that a pixel belongs to, or -1."""

    pixels: NDArray[np.int32]
    owner: NDArray[np.int32]
    palette: list[Colour]
    shapes: list[Shape] = field(default_factory=list)
    colours: list[list[Colour]] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)


def draw(seed: int) -> LabelledPicture:
    """Draw the picture of `seed`."""
    rng = np.random.default_rng(seed)
    canvas = _background(rng)
    for _ in range(_shape_count(rng)):
        _add_shape(canvas, rng)
    pixels = canvas.pixels
    if rng.random() < 0.4:
        grain = int(rng.integers(2, 12))
        pixels = pixels + rng.integers(-grain, grain + 1, pixels.shape, dtype=np.int32)
    boxes = [_box_of(canvas.owner == index) for index in range(len(canvas.shapes))]
    return LabelledPicture(
        image=np.clip(pixels, 0, 255).astype(np.uint8),
        boxes_xyxy=np.array(boxes, dtype=np.float32).reshape(-1, 4),
        class_ids=np.array([shape.class_id for shape in canvas.shapes], dtype=np.int64),
    )


def _shape_count(rng: np.random.Generator) -> int:
    return 0 if rng.random() < 0.03 else int(rng.integers(1, 10))


def _background(rng: np.random.Generator) -> _Canvas:
    longer = int(rng.integers(_SIDE_RANGE[0], _SIDE_RANGE[1] + 1))
    shorter = int(longer * rng.uniform(0.5, 1.0))
    height, width = (longer, shorter) if rng.random() < 0.5 else (shorter, longer)
    first = _random_colour(rng)
    second = np.clip(first + rng.integers(-70, 71, 3, dtype=np.int32), 0, 255)
    angle = rng.uniform(0, 2 * math.pi)
    rows, columns = np.mgrid[0:height, 0:width]
    along = columns * math.cos(angle) + rows * math.sin(angle)

    kind = ("flat", "gradient", "noise", "stripes")[int(rng.integers(4))]
    if kind == "gradient":
        share = (along - along.min()) / (along.max() - along.min())
    elif kind == "stripes":
        share = np.floor(along / rng.uniform(5, 40)) % 2
    else:
        share = np.zeros_like(along)
    weight = np.round(share * 256).astype(np.int32)[..., None]
    pixels = (first * (256 - weight) + second * weight) // 256
    if kind == "noise":
        amplitude = int(rng.integers(10, 45))
        pixels = pixels + rng.integers(-amplitude, amplitude + 1, pixels.shape, dtype=np.int32)
    palette = [first, (first + second) // 2, second] if kind in ("gradient", "stripes") else [first]
    return _Canvas(np.clip(pixels, 0, 255), np.full((height, width), -1, dtype=np.int32), palette)


def _add_shape(canvas: _Canvas, rng: np.random.Generator) -> None:
    """Draw one more shape if there is a position that keeps all shapes recognisable."""
    size_hw = (canvas.owner.shape[0], canvas.owner.shape[1])
    for _ in range(_MAX_PLACEMENT_TRIES):
        shape = _random_shape(rng, size_hw)
        cover = coverage(shape, size_hw)
        inside = cover * 2 >= FULL_COVERAGE
        owner = np.where(inside, len(canvas.shapes), canvas.owner)
        area = round(area_of(shape))
        if not _all_recognisable(owner, [*canvas.areas, area]):
            continue
        beneath = [canvas.colours[index] for index in np.unique(canvas.owner[inside]) if index >= 0]
        colour = _contrasting_colour(rng, [*canvas.palette, *chain.from_iterable(beneath)])
        if colour is None:
            continue
        colours = [colour]
        _paint(canvas, cover, colour, rng)
        if rng.random() < 0.3:  # a smaller shape of another colour inside
            inner = Shape(shape.class_id, shape.centre_xy, shape.radius * rng.uniform(0.45, 0.75), shape.angle)
            colours.append(np.clip(colour + rng.integers(-90, 91, 3, dtype=np.int32), 0, 255))
            _paint(canvas, coverage(inner, size_hw), colours[-1], rng)
        canvas.owner = owner
        canvas.shapes.append(shape)
        canvas.colours.append(colours)
        canvas.areas.append(area)
        return


def _random_shape(rng: np.random.Generator, size_hw: tuple[int, int]) -> Shape:
    height, width = size_hw
    smallest, largest = (fraction * max(height, width) for fraction in _DIAMETER_RANGE)
    diameter = smallest * (min(largest, 0.9 * min(height, width)) / smallest) ** rng.random()
    margin = 0.4 * diameter  # less than the radius: the picture's edge crops some shapes
    centre = (float(rng.uniform(margin, width - margin)), float(rng.uniform(margin, height - margin)))
    return Shape(int(rng.integers(len(CLASS_NAMES))), centre, diameter / 2, rng.uniform(0, 2 * math.pi))


def _all_recognisable(owner: NDArray[np.int32], areas: list[int]) -> bool:
    """Whether enough of every shape is visible, and the newest box overlaps no other too much."""
    visible = np.bincount(owner[owner >= 0], minlength=len(areas))
    if any(pixels < MIN_VISIBLE * area for pixels, area in zip(visible, areas, strict=True)):
        return False
    *older, newest = (_box_of(owner == index) for index in range(len(areas)))
    return all(_box_iou(newest, box) <= MAX_BOX_IOU for box in older)


def _paint(canvas: _Canvas, cover: NDArray[np.int32], colour: Colour, rng: np.random.Generator) -> None:
    """Blend `colour`, with a slight gradient, over the covered pixels."""
    x_min, y_min, x_max, y_max = _box_of(cover > 0)
    window = np.s_[y_min:y_max, x_min:x_max]
    slope = rng.integers(-30, 31, 2, dtype=np.int32)
    rows, columns = np.mgrid[0 : y_max - y_min, 0 : x_max - x_min].astype(np.int32)
    shade = rows * slope[0] // (y_max - y_min) + columns * slope[1] // (x_max - x_min)
    paint = np.clip(colour + shade[..., None], 0, 255)
    weight = cover[window][..., None]
    blended = canvas.pixels[window] * (FULL_COVERAGE - weight) + paint * weight
    canvas.pixels[window] = (blended + FULL_COVERAGE // 2) // FULL_COVERAGE


def _random_colour(rng: np.random.Generator) -> Colour:
    return rng.integers(0, 256, 3, dtype=np.int32)


def _contrasting_colour(rng: np.random.Generator, others: list[Colour]) -> Colour | None:
    for _ in range(_MAX_COLOUR_TRIES):
        colour = _random_colour(rng)
        if all(math.dist(colour, other) >= MIN_CONTRAST for other in others):
            return colour
    return None


def _box_of(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """The smallest box (xyxy, pixel edges) around the true pixels of a mask, which has at least one."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _box_iou(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(0, width) * max(0, height)
    total = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return shared / (total - shared)
