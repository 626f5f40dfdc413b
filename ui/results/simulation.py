"""Simulated answers, to try the page without a server. They are marked wherever they are shown or saved."""

from __future__ import annotations

import hashlib
import random

from results.decode import open_picture
from service.answers import Answer, Detection

MODEL = "simulated"
SIMULATED_NOTICE = "Simulated: test mode, no model saw this picture"
CLASS_NAMES = ("person", "bicycle", "car", "dog", "cat", "chair")


def simulate(image: bytes, confidence: float = 0.25) -> Answer:
    """Random detections, the same each time for the same bytes. Raises InvalidPicture."""
    _, (width, height) = open_picture(image, max_side=64)
    generator = random.Random(hashlib.sha256(image).digest())
    entries = [_random_detection(generator, width, height) for _ in range(generator.randint(3, 8))]
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
    """Whether an answer is simulated."""
    return bool(answer.document.get("simulated"))


def _random_detection(generator: random.Random, width: int, height: int) -> Detection:
    class_id = generator.randrange(len(CLASS_NAMES))
    w, h = (side * generator.uniform(0.15, 0.4) for side in (width, height))
    x, y = generator.uniform(0, width - w), generator.uniform(0, height - h)
    xyxy = (round(x, 3), round(y, 3), round(x + w, 3), round(y + h, 3))
    return Detection(xyxy, class_id, CLASS_NAMES[class_id], round(generator.uniform(0.1, 0.98), 5))


def _document(detection: Detection) -> dict[str, object]:
    whole = (int(side) for side in detection.xyxy)
    return {
        **dict(zip(("x_min", "y_min", "x_max", "y_max"), whole, strict=True)),
        "class_name": detection.class_name,
        "class_id": detection.class_id,
        "confidence": detection.confidence,
        "xyxy": list(detection.xyxy),
    }
