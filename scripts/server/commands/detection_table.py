"""Detections as a text table."""

from __future__ import annotations

from service.answers import Answer


def detection_table(answer: Answer, max_rows: int = 1000) -> str:
    """One line per detection: class, confidence and box in original pixels. Rows beyond `max_rows` are counted only."""
    names = [detection.class_name for detection in answer.detections]
    width = max([len("class"), *map(len, names)])
    lines = [f"  {'class':<{width}}  confidence   x_min   y_min   x_max   y_max"]
    for detection in answer.detections[:max_rows]:
        box = " ".join(f"{side:7.1f}" for side in detection.xyxy)
        lines.append(f"  {detection.class_name:<{width}}  {detection.confidence:10.3f} {box}")
    if len(names) > max_rows:
        lines.append(f"  ... and {len(names) - max_rows} more")
    return "\n".join(lines) if names else "  nothing found above the confidence threshold"
