"""The response half of the wire contract: detections and errors as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from .detector import Detections
from .errors import DetectionError
from .request import Form

Document = dict[str, object]


@dataclass(frozen=True)
class Response:
    """What goes to the client: JSON text, and an HTTP status with its phrase."""

    body: str
    status: int = 200
    reason: str = "OK"


@dataclass(frozen=True)
class Encoder:
    """Encodes the answers of one served model."""

    model: str
    version: str
    class_names: tuple[str, ...]

    def encode(self, results: list[Detections | Exception], form: Form) -> Response:
        """The response to a request whose pictures gave `results`.

        One picture's error is the response's own; of several, each stands in its picture's place, status 200.
        """
        if form == "one":
            return encode_error(results[0]) if isinstance(results[0], Exception) else self._respond(results[0])
        items = [
            error_document(result) if isinstance(result, Exception) else self._document(result) for result in results
        ]
        return Response(_text({"predictions": items} if form == "predictions" else items))

    def _respond(self, detections: Detections) -> Response:
        return Response(_text(self._document(detections)))

    def _document(self, found: Detections) -> Document:
        height, width = found.image_hw
        timings = {step: round(seconds, 6) for step, seconds in asdict(found.timings).items()}
        rows = zip(found.boxes.tolist(), found.confidences.tolist(), found.class_ids.tolist(), strict=True)
        return {
            "model": self.model,
            "version": self.version,
            "time": round(found.timings.inference + found.timings.suppression, 6),
            "image": {"width": width, "height": height},
            "detections": [self._detection(xyxy, confidence, class_id) for xyxy, confidence, class_id in rows],
            "timings": timings,
        }

    def _detection(self, xyxy: list[float], confidence: float, class_id: int) -> Document:
        x_min, y_min, x_max, y_max = xyxy
        return {
            "x_min": int(x_min),
            "y_min": int(y_min),
            "x_max": int(x_max),
            "y_max": int(y_max),
            "class_name": self.class_names[class_id],
            "class_id": class_id,
            "confidence": round(confidence, 5),
            "xyxy": [round(side, 3) for side in xyxy],
        }


def encode_error(error: Exception) -> Response:
    """The response for one error; what is not the client's fault says no more than that."""
    if isinstance(error, DetectionError):
        return Response(_text(error_document(error)), error.status, error.reason)
    return Response(_text(error_document(error)), 500, DetectionError.reason)


def error_document(error: Exception) -> Document:
    """An error in TorchServe's own form."""
    if isinstance(error, DetectionError):
        return {"code": error.status, "type": error.type, "message": str(error)}
    return {"code": 500, "type": "InternalError", "message": "the service failed on this picture; its log says why"}


def _text(document: object) -> str:
    # A lone surrogate of a client's text has no UTF-8 form; escaped, it is valid JSON.
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
