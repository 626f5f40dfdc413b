"""The places of labels: inside the picture, at their box, and with the least overlap between labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]
SLIDES = (0.0, 1.0, 0.5, 0.25, 0.75)  # positions along the box's side, from its left end (0) to its right end (1)


def place(boxes: Boxes, sizes_wh: Sequence[tuple[int, int]], picture_wh: tuple[int, int]) -> list[tuple[int, int]]:
    """The upper left corner (x, y) of each label, in pixels. boxes: (N, 4) xyxy, in pixels.

    Earlier labels get the better places. Each label gets the place with the least overlap with the labels before it; of
    equal places the first of: above the box, inside its top, below it, inside its bottom.
    """
    placed: list[tuple[int, int]] = []
    taken = np.zeros((len(boxes), 4))
    for index, (box, size) in enumerate(zip(boxes, sizes_wh, strict=True)):
        candidates = _candidates(box, size, picture_wh)
        rectangles = np.concatenate([candidates, candidates + np.array(size)], axis=1)
        overlap = _overlap(rectangles, taken[:index]).sum(axis=1)
        best = int(np.argmin(overlap))  # the first of equal ones
        taken[index] = rectangles[best]
        placed.append((int(candidates[best][0]), int(candidates[best][1])))
    return placed


def _candidates(box: NDArray[np.float64], size_wh: tuple[int, int], picture_wh: tuple[int, int]) -> NDArray[np.float64]:
    """Corners (K, 2) of places for a label at a box, best first, all inside the picture; xy in pixels."""
    width, height = size_wh
    x_min, y_min, x_max, y_max = box
    columns = [x_min + slide * max(0.0, x_max - x_min - width) for slide in SLIDES]
    columns.append(x_max - width)  # extends beyond the box to the left
    rows = [y_min - height, y_min, y_max, y_max - height, (y_min + y_max - height) / 2]
    rows += [y_min + height, y_min - 2 * height, y_max + height]
    places = np.array([(x, y) for y in rows for x in columns])
    room = np.array([max(0, picture_wh[0] - width), max(0, picture_wh[1] - height)])
    inside = np.all((places >= 0) & (places <= room), axis=1)
    # Places that are moved into the picture come after those that are inside it already.
    return np.concatenate([places[inside], np.clip(places[~inside], 0, room)]).round()


def _overlap(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Intersection areas (K, N) of boxes (K, 4) with boxes (N, 4), xyxy."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.clip(high - low, 0, None)
    area: NDArray[np.float64] = sides[..., 0] * sides[..., 1]
    return area
