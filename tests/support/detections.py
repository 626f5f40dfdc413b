"""Detections and answers for tests that need no server."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

from PIL import Image

from service.answers import Answer, Detection, read_answer

Box = tuple[float, float, float, float]


def detection(xyxy: Box, class_id: int = 0, name: str = "person", confidence: float = 0.5) -> Detection:
    return Detection(xyxy, class_id, name, confidence)


def document(
    detections: Sequence[Detection], size_wh: tuple[int, int] = (640, 480), model: str = "yolov5s", version: str = "1.0"
) -> dict[str, object]:
    """The JSON document of an answer."""
    return {
        "model": model,
        "version": version,
        "time": 0.031,
        "image": {"width": size_wh[0], "height": size_wh[1]},
        "detections": [
            {
                **dict(zip(("x_min", "y_min", "x_max", "y_max"), map(int, found.xyxy), strict=True)),
                "class_name": found.class_name,
                "class_id": found.class_id,
                "confidence": found.confidence,
                "xyxy": list(found.xyxy),
            }
            for found in detections
        ],
        "timings": {"decode": 0.008, "letterbox": 0.001, "inference": 0.029, "suppression": 0.002},
    }


def answer(detections: Sequence[Detection], size_wh: tuple[int, int] = (640, 480)) -> Answer:
    return read_answer(json.dumps(document(detections, size_wh)).encode(), 0.05)


def png(size_wh: tuple[int, int] = (640, 480), colour: str = "black") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size_wh, colour).save(buffer, "PNG")
    return buffer.getvalue()
