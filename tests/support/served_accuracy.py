"""Served answers as what their accuracy is measured from."""

from __future__ import annotations

import numpy as np

from archiver.accuracy import Boxes
from service.client import Answer


def found_by(answer: Answer) -> Boxes:
    """The detections of an answer."""
    found = answer.detections
    return Boxes(
        np.array([one.xyxy for one in found], np.float64).reshape(-1, 4),
        np.array([one.class_id for one in found], np.int64),
        np.array([one.confidence for one in found], np.float64),
    )
