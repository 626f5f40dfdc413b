from __future__ import annotations

import numpy as np
import pytest

from detection.suppression import MAX_CANDIDATES, Candidates, suppress
from support.reference import Box, Row, suppressed


def candidates(rows: list[Row]) -> Candidates:
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    return Candidates(
        boxes, np.array([row[1] for row in rows], np.float32), np.array([row[2] for row in rows], np.int64)
    )


def rows_of(kept: Candidates) -> list[Row]:
    boxes: list[Box] = [tuple(box) for box in kept.boxes.tolist()]
    return list(zip(boxes, kept.confidences.tolist(), kept.class_ids.tolist(), strict=True))


def random_rows(seed: int, count: int, classes: int) -> list[Row]:
    """Boxes in clusters on a grid of 1/8 pixel, which the float32 class offset does not round at few classes."""
    generator = np.random.default_rng(seed)
    corner = generator.integers(0, 8 * 80, (count, 2)) / 8
    size = generator.integers(8 * 4, 8 * 60, (count, 2)) / 8
    scores = generator.permutation(count) / count
    class_ids = generator.integers(0, classes, count)
    boxes = np.concatenate((corner, corner + size), axis=1)
    return [
        ((float(box[0]), float(box[1]), float(box[2]), float(box[3])), float(np.float32(score)), int(class_id))
        for box, score, class_id in zip(boxes, scores, class_ids, strict=True)
    ]


A: Box = (0, 0, 10, 10)
B: Box = (0, 0, 10, 5)  # IoU with A is exactly 0.5


@pytest.mark.parametrize(
    ("rows", "iou", "agnostic", "kept"),
    [
        ([], 0.5, False, []),
        ([(A, 0.9, 0)], 0.5, False, [0]),
        ([(B, 0.5, 0), (A, 0.9, 0)], 0.5, False, [1, 0]),  # IoU > iou suppresses, equal does not
        ([(B, 0.5, 0), (A, 0.9, 0)], 0.49, False, [1]),
        ([(B, 0.5, 1), (A, 0.9, 0)], 0.49, False, [1, 0]),  # a box of another class does not suppress
        ([(B, 0.5, 1), (A, 0.9, 0)], 0.49, True, [1]),  # unless agnostic
        ([(A, 0.5, 0), (A, 0.5, 0), (A, 0.5, 0)], 0.45, False, [0]),  # the first of equal boxes is kept
        ([((3, 3, 3, 3), 0.9, 0), ((3, 3, 3, 3), 0.8, 0)], 0.0, False, [0, 1]),  # empty boxes do not overlap
        ([(A, 0.9, 0), (A, 0.8, 0)], 1.0, False, [0, 1]),  # no IoU is greater than 1
    ],
)
def test_keeps_the_most_confident_of_overlapping_boxes(
    rows: list[Row], iou: float, agnostic: bool, kept: list[int]
) -> None:
    result = suppress(candidates(rows), iou, 1000, agnostic)
    assert rows_of(result) == [rows_of(candidates(rows))[index] for index in kept]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("agnostic", [False, True])
def test_agrees_with_the_slow_reference(seed: int, agnostic: bool) -> None:
    rows = random_rows(seed, count=150, classes=4)
    result = suppress(candidates(rows), 0.45, 40, agnostic)
    assert rows_of(result) == suppressed(rows, 0.45, 40, agnostic)


def test_returns_at_most_max_detections_the_most_confident_first() -> None:
    rows = random_rows(99, count=300, classes=80)
    result = suppress(candidates(rows), 1.0, 7, agnostic=False)
    assert result.confidences.tolist() == sorted((row[1] for row in rows), reverse=True)[:7]


def test_suppresses_no_more_candidates_than_the_reference() -> None:
    count = MAX_CANDIDATES + 5000
    boxes = np.zeros((count, 4), np.float32)
    boxes[:, 0] = np.arange(count) * 4
    boxes[:, 2] = boxes[:, 0] + 2
    boxes[:, 3] = 2
    confidences = np.linspace(0, 1, count, dtype=np.float32)
    result = suppress(Candidates(boxes, confidences, np.zeros(count, np.int64)), 0.5, 1000, agnostic=True)
    assert result.confidences.tolist() == confidences[::-1][:1000].tolist()


def test_the_class_offset_rounds_boxes_as_the_reference_rounds_them() -> None:
    # At class 79 the offset 606720 leaves float32 steps of 1/16 pixel: a height of 1.97 pixels becomes 2.
    first, second = (0.0, 0.0, 100.0, 1.0), (0.0, 0.0, 100.0, 1.97)
    low = suppress(candidates([(second, 0.9, 0), (first, 0.8, 0)]), 0.505, 10, agnostic=False)
    high = suppress(candidates([(second, 0.9, 79), (first, 0.8, 79)]), 0.505, 10, agnostic=False)
    assert (len(low.boxes), len(high.boxes)) == (1, 2)
    assert high.boxes[0].tolist() == np.array(second, np.float32).tolist()  # the returned box is exact
