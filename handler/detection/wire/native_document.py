"""The JSON objects of the native forms: the detections in one image, and an error."""

from __future__ import annotations

from dataclasses import asdict

from ..errors import DetectionError
from ..records import Detections
from .response import Response, to_json
from .served_model import ServedModel

Document = dict[str, object]


def result_document(model: ServedModel, result: Detections | Exception) -> Document:
    """The JSON object of one image's result."""
    return error_document(result) if isinstance(result, Exception) else detections_document(model, result)


def detections_document(model: ServedModel, detections: Detections) -> Document:
    """The JSON object of the detections in one image."""
    height, width = detections.image_hw
    timings = detections.timings
    rows = zip(detections.boxes.tolist(), detections.confidences.tolist(), detections.class_ids.tolist(), strict=True)
    return {
        "model": model.name,
        "version": model.version,
        "time": round(timings.inference + timings.suppression, 6),
        "image": {"width": width, "height": height},
        "detections": [_detection(model, xyxy, confidence, class_id) for xyxy, confidence, class_id in rows],
        "timings": {step: round(seconds, 6) for step, seconds in asdict(timings).items()},
    }


def _detection(model: ServedModel, xyxy: list[float], confidence: float, class_id: int) -> Document:
    x_min, y_min, x_max, y_max = xyxy
    return {
        "x_min": int(x_min),
        "y_min": int(y_min),
        "x_max": int(x_max),
        "y_max": int(y_max),
        "class_name": model.class_names[class_id],
        "class_id": class_id,
        "confidence": round(confidence, 5),
        "xyxy": [round(side, 3) for side in xyxy],
    }


def error_document(error: Exception) -> Document:
    """The JSON object of an error, in TorchServe's format. An error of the service keeps its details to the log."""
    if isinstance(error, DetectionError):
        return {"code": error.status, "type": error.type, "message": str(error)}
    return {
        "code": 500,
        "type": "InternalError",
        "message": "the service failed on this picture; its log has the cause",
    }


def encode_error(error: Exception) -> Response:
    """The response with an error's JSON object and status."""
    if isinstance(error, DetectionError):
        return Response(to_json(error_document(error)), error.status, error.reason)
    return Response(to_json(error_document(error)), 500, DetectionError.reason)
