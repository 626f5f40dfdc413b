"""What the detector takes and returns for one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .options import Options


@dataclass(frozen=True)
class Task:
    """One encoded image and the options of its detection."""

    data: bytes | bytearray
    options: Options


@dataclass(frozen=True)
class Timings:
    """Seconds that each step took."""

    decode: float
    letterbox: float
    inference: float
    suppression: float


@dataclass(frozen=True)
class Detections:
    """The detections in one image, highest confidence first.

    boxes (N, 4) xyxy in pixels of the upright image, confidences (N,) in 0..1, class_ids (N,).
    """

    image_hw: tuple[int, int]
    boxes: NDArray[np.float32]
    confidences: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    timings: Timings
