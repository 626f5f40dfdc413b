"""Converts the service's answers for the measurement of accuracy."""

from __future__ import annotations

import numpy as np

from archiver.accuracy import Boxes
from service.answers import Answer


def boxes_of(answer: Answer) -> Boxes:
    """The detections of an answer."""
    detections = answer.detections
    return Boxes(
        np.array([detection.xyxy for detection in detections], np.float64).reshape(-1, 4),
        np.array([detection.class_id for detection in detections], np.int64),
        np.array([detection.confidence for detection in detections], np.float64),
    )
