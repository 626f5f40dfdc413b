"""Non-maximum suppression: of candidates that overlap, the most confident one is kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_CANDIDATES = 30_000  # the reference keeps only so many before suppression, the most confident ones
CLASS_OFFSET = np.float32(7680)  # larger than any input, so that boxes of different classes never overlap


@dataclass(frozen=True)
class Candidates:
    """Boxes (N, 4) xyxy in input pixels, confidences (N,) in 0..1, class_ids (N,)."""

    boxes: NDArray[np.float32]
    confidences: NDArray[np.float32]
    class_ids: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> Candidates:
        """The candidates at `rows`, in the order of `rows`."""
        return Candidates(self.boxes[rows], self.confidences[rows], self.class_ids[rows])


def suppress(candidates: Candidates, iou: float, max_detections: int, agnostic: bool) -> Candidates:
    """The kept candidates, highest confidence first, at most `max_detections`.

    A candidate is dropped if its IoU with a kept one of its class (of any class if `agnostic`) is greater than `iou`.

    The class offset is added in float32, as in the reference. This rounds the boxes of high classes by up to 1/32
    pixel, which decides suppressions near the threshold: exact arithmetic would give other results.
    """
    candidates = candidates.take(_best_first(candidates.confidences))
    if agnostic:
        groups, boxes = np.zeros_like(candidates.class_ids), candidates.boxes
    else:
        groups = candidates.class_ids
        boxes = candidates.boxes + (groups.astype(np.float32) * CLASS_OFFSET)[:, None]
    # strategy: boxes of different groups never overlap, so each group is suppressed by itself, on short arrays.
    kept = [_suppress_group(boxes, np.flatnonzero(groups == group), iou, max_detections) for group in np.unique(groups)]
    rows = np.sort(np.concatenate(kept)) if kept else np.empty(0, np.int64)
    return candidates.take(rows[:max_detections])


def _best_first(confidences: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rows by descending confidence, at most MAX_CANDIDATES; equal confidences keep their order."""
    rows = np.arange(len(confidences), dtype=np.int64)
    if len(rows) > MAX_CANDIDATES:
        rows = np.sort(np.argpartition(-confidences, MAX_CANDIDATES)[:MAX_CANDIDATES])
    return rows[np.argsort(-confidences[rows], kind="stable")]


def _suppress_group(
    boxes: NDArray[np.float32], rows: NDArray[np.int64], iou: float, max_detections: int
) -> NDArray[np.int64]:
    """The kept rows. `rows` (N,) are ordered by descending confidence."""
    x_min, y_min, x_max, y_max = boxes[rows].T
    areas = (x_max - x_min) * (y_max - y_min)
    threshold = np.float64(iou)  # the reference compares its float32 IoU with a double
    remaining = np.arange(len(rows))
    kept: list[int] = []
    while len(remaining) and len(kept) < max_detections:
        best, rest = remaining[0], remaining[1:]
        kept.append(int(rows[best]))
        width = np.minimum(x_max[best], x_max[rest]) - np.maximum(x_min[best], x_min[rest])
        height = np.minimum(y_max[best], y_max[rest]) - np.maximum(y_min[best], y_min[rest])
        intersection = np.maximum(width, np.float32(0)) * np.maximum(height, np.float32(0))
        union = areas[best] + areas[rest] - intersection
        # intersection > threshold * union would round differently. The union is 0 only for two empty boxes, which do
        # not suppress each other.
        overlap = np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
        remaining = rest[overlap <= threshold]
    return np.array(kept, np.int64)
