"""Test mode: an answer that no server gave, to try the page without one. It is marked wherever it is shown or saved."""

from __future__ import annotations

import hashlib
import random

from results.decode import open_picture
from service.answers import Answer, Detection

MODEL = "simulated"
MARK = "Simulated: test mode, no model saw this picture"
CLASS_NAMES = ("person", "bicycle", "car", "dog", "cat", "chair")


def simulate(image: bytes, confidence: float = 0.25) -> Answer:
    """Made-up detections, the same each time for the same bytes. Raises InvalidPicture."""
    _, (width, height) = open_picture(image, longest=64)
    numbers = random.Random(hashlib.sha256(image).digest())
    entries = [_entry(numbers, width, height) for _ in range(numbers.randint(3, 8))]
    entries = [entry for entry in entries if entry.confidence > confidence]
    detections = tuple(sorted(entries, key=lambda entry: -entry.confidence))
    document = {
        "simulated": True,
        "model": MODEL,
        "version": "0",
        "time": 0.0,
        "image": {"width": width, "height": height},
        "detections": [_document(detection) for detection in detections],
    }
    return Answer(MODEL, "0", 0.0, 0.0, (width, height), detections, document)


def is_simulated(answer: Answer) -> bool:
    """Whether an answer is made up."""
    return bool(answer.document.get("simulated"))


def _entry(numbers: random.Random, width: int, height: int) -> Detection:
    class_id = numbers.randrange(len(CLASS_NAMES))
    w, h = (side * numbers.uniform(0.15, 0.4) for side in (width, height))
    x, y = numbers.uniform(0, width - w), numbers.uniform(0, height - h)
    xyxy = (round(x, 3), round(y, 3), round(x + w, 3), round(y + h, 3))
    return Detection(xyxy, class_id, CLASS_NAMES[class_id], round(numbers.uniform(0.1, 0.98), 5))


def _document(detection: Detection) -> dict[str, object]:
    whole = (int(side) for side in detection.xyxy)
    return {
        **dict(zip(("x_min", "y_min", "x_max", "y_max"), whole, strict=True)),
        "class_name": detection.class_name,
        "class_id": detection.class_id,
        "confidence": detection.confidence,
        "xyxy": list(detection.xyxy),
    }
