"""A slow and simple implementation of YOLOv5's post-processing, box by box, as the expected result in tests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]
Row = tuple[Box, float, int]  # box, confidence, class_id


def iou(first: Box, second: Box) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    union = sum(areas) - shared
    return shared / union if union > 0 else 0.0


def suppressed(rows: Sequence[Row], max_iou: float, max_detections: int, agnostic: bool) -> list[Row]:
    """Greedy suppression: keep the best box, remove the boxes that overlap it too much, repeat."""
    kept: list[Row] = []
    for row in sorted(rows, key=lambda row: -row[1]):
        rivals = [other for other in kept if agnostic or other[2] == row[2]]
        if all(iou(row[0], rival[0]) <= max_iou for rival in rivals):
            kept.append(row)
    return kept[:max_detections]


def anchor_rows(
    maps: Sequence[NDArray[np.float32]],
    strides: Sequence[int],
    anchors: Sequence[Sequence[tuple[float, float]]],
    confidence: float,
    multi_label: bool,
) -> list[Row]:
    """Decode every cell and anchor, then filter by confidence."""
    rows: list[Row] = []
    for raw, stride, level in zip(maps, strides, anchors, strict=True):
        _, channels, height, width = raw.shape
        values = channels // len(level)
        for anchor, (anchor_w, anchor_h) in enumerate(level):
            for y in range(height):
                for x in range(width):
                    cell = [sigmoid(float(raw[0, anchor * values + k, y, x])) for k in range(values)]
                    centre_x, centre_y = (2 * cell[0] - 0.5 + x) * stride, (2 * cell[1] - 0.5 + y) * stride
                    w, h = (2 * cell[2]) ** 2 * anchor_w, (2 * cell[3]) ** 2 * anchor_h
                    box = (centre_x - w / 2, centre_y - h / 2, centre_x + w / 2, centre_y + h / 2)
                    rows += labelled(box, [cell[4] * score for score in cell[5:]], confidence, multi_label)
    return rows


def anchor_free_rows(
    maps: Sequence[NDArray[np.float32]], strides: Sequence[int], reg_max: int, confidence: float, multi_label: bool
) -> list[Row]:
    """Decode every cell, then filter by confidence."""
    rows: list[Row] = []
    for raw, stride in zip(maps, strides, strict=True):
        _, channels, height, width = raw.shape
        for y in range(height):
            for x in range(width):
                sides = []
                for side in range(4):
                    powers = [math.exp(float(raw[0, side * reg_max + k, y, x])) for k in range(reg_max)]
                    sides.append(sum(k * power for k, power in enumerate(powers)) / sum(powers))
                box = (
                    (x + 0.5 - sides[0]) * stride,
                    (y + 0.5 - sides[1]) * stride,
                    (x + 0.5 + sides[2]) * stride,
                    (y + 0.5 + sides[3]) * stride,
                )
                scores = [sigmoid(float(raw[0, k, y, x])) for k in range(4 * reg_max, channels)]
                rows += labelled(box, scores, confidence, multi_label)
    return rows


def labelled(box: Box, scores: Sequence[float], confidence: float, multi_label: bool) -> list[Row]:
    if multi_label:
        return [(box, score, class_id) for class_id, score in enumerate(scores) if score > confidence]
    best = max(range(len(scores)), key=lambda class_id: scores[class_id])
    return [(box, scores[best], best)] if scores[best] > confidence else []


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))
