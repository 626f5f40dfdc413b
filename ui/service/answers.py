"""A model's answer: the detections in one image."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from service.errors import ErrorKind, Failed


@dataclass(frozen=True)
class Detection:
    """One object: its box (x_min, y_min, x_max, y_max) in the image's pixels, class, and confidence in 0..1."""

    xyxy: tuple[float, float, float, float]
    class_id: int
    class_name: str
    confidence: float


@dataclass(frozen=True)
class Answer:
    """The detections in one image.

    `time`: seconds of network and suppression on the server; `round_trip`: seconds from request to answer;
    `document`: the JSON of the response.
    """

    model: str
    version: str
    time: float
    round_trip: float
    size_wh: tuple[int, int]
    detections: tuple[Detection, ...]
    document: dict[str, Any]


def read_answer(body: bytes, round_trip: float) -> Answer:
    """The answer in a response's body. Raises Failed for anything but a detection document of this service."""
    try:
        document = json.loads(body)
        detections = tuple(
            Detection(tuple(entry["xyxy"]), entry["class_id"], entry["class_name"], entry["confidence"])
            for entry in document["detections"]
        )
        size_wh = document["image"]["width"], document["image"]["height"]
        return Answer(
            document["model"], document["version"], document["time"], round_trip, size_wh, detections, document
        )
    except (ValueError, KeyError, TypeError) as error:
        message = "the model's answer is not a detection document of this service"
        raise Failed(message, kind=ErrorKind.INVALID_ANSWER) from error
