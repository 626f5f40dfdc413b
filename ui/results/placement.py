"""Where labels stand: inside the picture, at their box, and not on each other where that can be avoided."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]
SLIDES = (0.0, 1.0, 0.5, 0.25, 0.75)  # along the box's side, left first


def place(boxes: Boxes, sizes_wh: Sequence[tuple[int, int]], picture_wh: tuple[int, int]) -> list[tuple[int, int]]:
    """The upper left corner of each label, in pixels. boxes (N, 4) xyxy.

    Labels that come first get the better places. Each takes the place of least overlap with the labels before it; of
    equal ones above the box, then inside its top, then below it, then inside its bottom.
    """
    placed: list[tuple[int, int]] = []
    taken = np.zeros((len(boxes), 4))
    for index, (box, size) in enumerate(zip(boxes, sizes_wh, strict=True)):
        candidates = _candidates(box, size, picture_wh)
        spread = np.concatenate([candidates, candidates + np.array(size)], axis=1)
        overlap = _overlap(spread, taken[:index]).sum(axis=1)
        best = int(np.argmin(overlap))  # the first of equal ones
        taken[index] = spread[best]
        placed.append((int(candidates[best][0]), int(candidates[best][1])))
    return placed


def _candidates(box: NDArray[np.float64], size_wh: tuple[int, int], picture_wh: tuple[int, int]) -> NDArray[np.float64]:
    """Places (K, 2) for a label at a box, best first, all inside the picture."""
    width, height = size_wh
    x_min, y_min, x_max, y_max = box
    slides = [x_min + share * max(0.0, x_max - x_min - width) for share in SLIDES]
    slides.append(x_max - width)  # sticks out to the left
    levels = [y_min - height, y_min, y_max, y_max - height, (y_min + y_max - height) / 2]
    levels += [y_min + height, y_min - 2 * height, y_max + height]
    places = np.array([(x, y) for y in levels for x in slides])
    room = np.array([max(0, picture_wh[0] - width), max(0, picture_wh[1] - height)])
    inside = np.all((places >= 0) & (places <= room), axis=1)
    # Those that had to be moved into the picture come after those that are in it as they are.
    return np.concatenate([places[inside], np.clip(places[~inside], 0, room)]).round()


def _overlap(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Shared area (K, N) of each box of (K, 4) with each of (N, 4)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.clip(high - low, 0, None)
    area: NDArray[np.float64] = sides[..., 0] * sides[..., 1]
    return area
