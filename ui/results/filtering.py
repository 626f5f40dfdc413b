"""Raising the confidence threshold of an answer without asking the service again."""

from __future__ import annotations

from dataclasses import replace

from service.client import Answer


def above(answer: Answer, confidence: float) -> Answer:
    """The answer that the service would have given at a higher threshold.

    Suppression goes through the boxes from the best one on, so a box never depends on those below it: what is kept
    at the higher threshold is the beginning of what was kept at the lower one. The cut at max_detections keeps a
    beginning too, and the beginning of a beginning is the same either way. (Answers round confidences to five digits,
    so a box may fall on the other side if it is that close to the threshold.)
    """
    kept = sum(detection.confidence > confidence for detection in answer.detections)
    document = {**answer.document, "detections": answer.document["detections"][:kept]}
    return replace(answer, detections=answer.detections[:kept], document=document)
