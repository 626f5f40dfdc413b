"""Detections as a table of text."""

from __future__ import annotations

from service.client import Answer


def detection_table(answer: Answer, most: int = 1000) -> str:
    """A line per detection: class, confidence and box in original pixels; after `most` lines only a count."""
    names = [detection.class_name for detection in answer.detections]
    width = max([len("class"), *map(len, names)])
    lines = [f"  {'class':<{width}}  confidence   x_min   y_min   x_max   y_max"]
    for detection in answer.detections[:most]:
        box = " ".join(f"{side:7.1f}" for side in detection.xyxy)
        lines.append(f"  {detection.class_name:<{width}}  {detection.confidence:10.3f} {box}")
    if len(names) > most:
        lines.append(f"  ... and {len(names) - most} more")
    return "\n".join(lines) if names else "  nothing found above the confidence threshold"
