"""A model's answer: the detections in one picture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from service.errors import Failed


@dataclass(frozen=True)
class Detection:
    """One object: its box in the picture's pixels, its class, its confidence in 0..1."""

    xyxy: tuple[float, float, float, float]
    class_id: int
    class_name: str
    confidence: float


@dataclass(frozen=True)
class Answer:
    """The detections in one picture. `time` is the network's and suppression's, `round_trip` all; seconds."""

    model: str
    version: str
    time: float
    round_trip: float
    size_wh: tuple[int, int]
    detections: tuple[Detection, ...]
    document: dict[str, Any]


def read_answer(body: bytes, round_trip: float) -> Answer:
    """The answer in a response's body. Raises Failed where that is no detection document of this service."""
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
        raise Failed("the model's answer is no detection document of this service") from error
