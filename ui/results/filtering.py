"""Raising the confidence threshold of an answer without a new request."""

from __future__ import annotations

from dataclasses import replace

from service.answers import Answer


def above_confidence(answer: Answer, confidence: float) -> Answer:
    """The answer that the service would have given at a higher threshold.

    Suppression processes the boxes from the most confident on, so a box never depends on less confident ones: the
    detections at the higher threshold are the first ones at the lower threshold. The limit max_detections keeps the
    first ones too, so the order of the two does not matter. (Answers round confidences to five digits, so a box whose
    confidence is that close to the threshold may be on the other side.)
    """
    kept = sum(detection.confidence > confidence for detection in answer.detections)
    document = {**answer.document, "detections": answer.document["detections"][:kept]}
    return replace(answer, detections=answer.detections[:kept], document=document)
