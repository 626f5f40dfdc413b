"""Mean average precision of served answers, by pycocotools."""

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

from client import Answer


@dataclass(frozen=True)
class Measured:
    """One picture's answer beside the truth: boxes (N, 4) xyxy in pixels, class_ids (N,)."""

    answer: Answer
    boxes: NDArray[np.float64]
    class_ids: NDArray[np.int64]

    @classmethod
    def from_yolo_labels(cls, answer: Answer, labels: Path) -> Measured:
        """Truth of a label file: lines of class, centre x, centre y, width, height, as fractions of the picture."""
        text = labels.read_text().split() if labels.exists() else []
        rows = np.array(text, np.float64).reshape(-1, 5)
        centre, size = rows[:, 1:3] * answer.size_wh, rows[:, 3:5] * answer.size_wh
        return cls(answer, np.concatenate((centre - size / 2, centre + size / 2), axis=1), rows[:, 0].astype(np.int64))


@dataclass(frozen=True)
class Precision:
    """COCO's average precision over all classes that occur."""

    at_50_95: float
    at_50: float


def mean_average_precision(measured: Sequence[Measured]) -> Precision:
    """AP by COCO's own evaluation, up to 300 detections a picture."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = _dataset(measured)
        truth.createIndex()
        found = truth.loadRes(_results(measured))
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.params.maxDets = [1, 10, 300]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0, -1]  # IoU, recall, class; all areas; most detections
    return Precision(_mean(precision), _mean(precision[0]))


def _mean(precision: NDArray[np.float64]) -> float:
    return float(precision[precision > -1].mean())


def _dataset(measured: Sequence[Measured]) -> dict[str, object]:
    annotations = [
        {
            "id": 0,
            "image_id": image_id,
            "category_id": int(class_id),
            "bbox": _xywh(box),
            "area": float((box[2] - box[0]) * (box[3] - box[1])),
            "iscrowd": 0,
        }
        for image_id, one in enumerate(measured, start=1)
        for box, class_id in zip(one.boxes, one.class_ids, strict=True)
    ]
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    classes = sorted({int(class_id) for one in measured for class_id in one.class_ids})
    return {
        "images": [{"id": image_id} for image_id in range(1, len(measured) + 1)],
        "categories": [{"id": class_id} for class_id in classes],
        "annotations": annotations,
    }


def _results(measured: Sequence[Measured]) -> list[dict[str, object]]:
    return [
        {
            "image_id": image_id,
            "category_id": one.class_id,
            "bbox": _xywh(np.array(one.xyxy)),
            "score": one.confidence,
        }
        for image_id, picture in enumerate(measured, start=1)
        for one in picture.answer.detections
    ]


def _xywh(box: NDArray[np.float64]) -> list[float]:
    return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]
