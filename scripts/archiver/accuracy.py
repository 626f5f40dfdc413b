"""Mean average precision by pycocotools, and label files of YOLO data sets."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

MAX_DETECTIONS = 300  # per picture


@dataclass(frozen=True)
class Boxes:
    """Objects in a picture: boxes (N, 4) xyxy in its pixels, class_ids (N,), confidences (N,) in 0..1, 1 for labels."""

    boxes: NDArray[np.floating]
    class_ids: NDArray[np.integer]
    confidences: NDArray[np.floating]


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's average precision, the mean over all classes in the labels."""

    at_50_95: float
    at_50: float


def read_labels(path: Path, size_wh: tuple[int, int]) -> Boxes:
    """The boxes of a label file. Its lines are: class, centre x, centre y, width, height, as fractions of the picture.

    A missing file means a picture without objects. Raises ValueError if the file has another form.
    """
    try:
        rows = np.array(path.read_text().split() if path.exists() else [], np.float64).reshape(-1, 5)
    except ValueError:
        raise ValueError(f"{path}: five numbers a line were expected: class, centre x and y, width, height") from None
    centre, size = rows[:, 1:3] * size_wh, rows[:, 3:5] * size_wh
    boxes = np.concatenate((centre - size / 2, centre + size / 2), axis=1)
    return Boxes(boxes, rows[:, 0].astype(np.int64), np.ones(len(rows)))


def mean_average_precision(detections: Sequence[Boxes], labels: Sequence[Boxes]) -> AveragePrecision:
    """Evaluate detections with COCO's method. Both sequences have one entry per picture, in the same order.

    The best MAX_DETECTIONS of a picture count.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        expected = COCO()
        expected.dataset = {
            "images": [{"id": image_id} for image_id in range(1, len(labels) + 1)],
            "categories": [
                {"id": int(class_id)} for class_id in np.unique([i for picture in labels for i in picture.class_ids])
            ],
            "annotations": _annotations(labels),
        }
        expected.createIndex()
        evaluation = COCOeval(expected, expected.loadRes(_annotations(detections)), "bbox")
        evaluation.params.maxDets = [1, 10, MAX_DETECTIONS]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0, -1]  # IoU, recall, class; all areas; MAX_DETECTIONS
    return AveragePrecision(_mean(precision), _mean(precision[0]))


def _annotations(pictures: Sequence[Boxes]) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = []
    for image_id, picture in enumerate(pictures, start=1):
        size = picture.boxes[:, 2:] - picture.boxes[:, :2]
        for row in range(len(picture.boxes)):
            x, y = picture.boxes[row, :2].tolist()
            width, height = size[row].tolist()
            entry = {"image_id": image_id, "category_id": int(picture.class_ids[row]), "bbox": [x, y, width, height]}
            score, area = float(picture.confidences[row]), width * height
            entries.append({"id": len(entries) + 1, "score": score, "area": area, "iscrowd": 0, **entry})
    return entries


def _mean(precision: NDArray[np.float64]) -> float:
    """The mean over all entries that are defined: -1 marks classes without labels."""
    return float(precision[precision > -1].mean())
