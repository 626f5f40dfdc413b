"""A stand-in for the service in tests of the page: it answers as a test decides, and counts requests."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from service.answers import Detection
from support.detections import detection, document
from support.http_server import Reply, answering

DETECTIONS = (
    detection((50, 90, 220, 400), 0, "person", 0.9),
    detection((300, 90, 420, 300), 5, "bus", 0.6),
    detection((10, 10, 90, 60), 0, "person", 0.3),
)
CLASSES = ("person", "bicycle", "car", "motorcycle", "airplane", "bus")
Predict = Callable[[str, bytes], Reply]


def detect_all(model: str, body: bytes) -> Reply:
    """The answer unless a test sets another: DETECTIONS."""
    return 200, json.dumps(document(DETECTIONS, model=model)).encode()


def failing(status: int, type: str, message: str) -> Predict:
    """Every request fails, with an error response in TorchServe's form."""
    content = json.dumps({"code": status, "type": type, "message": message}).encode()
    return lambda model, body: (status, content)


@dataclass
class StandIn:
    """A service, changeable while it runs. `states`: the models and their workers' states; `requested`: predictions."""

    states: dict[str, str] = field(default_factory=lambda: {"yolov5s": "READY"})
    predict: Predict = detect_all
    token_refused: bool = False
    image_size: int = 640
    delay: float = 0.0
    requested: Counter[str] = field(default_factory=Counter)
    url: str = ""

    def reply(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """The answer to one request."""
        path, _, query = path.partition("?")
        if self.token_refused:
            return failing(400, "InvalidKeyException", "Token Authentication failed.")("", b"")
        if path.startswith("/predictions/"):
            with threading.Lock():
                self.requested[path.removeprefix("/predictions/")] += 1
            time.sleep(self.delay)
            return self.predict(path.split("/")[2], body)
        return 200, json.dumps(self._management(path, query)).encode()

    def _management(self, path: str, query: str) -> Any:
        if path == "/ping":
            return {"status": "Healthy"}
        if path == "/models":
            return {"models": [{"modelName": name, "modelUrl": f"{name}.mar"} for name in self.states]}
        return [self._described(path.split("/")[2], "customized" in query)]

    def _described(self, name: str, customized: bool) -> dict[str, Any]:
        state = self.states[name]
        worker = {"id": "9000", "startTime": "2026-11-22T12:00:00.000Z", "status": state, "memoryUsage": 1000, "pid": 7,
                  "gpu": False, "gpuUsage": "N/A"}  # fmt: skip
        entry: dict[str, Any] = {
            "modelName": name, "modelVersion": "1.0", "modelUrl": f"{name}.mar", "minWorkers": int(state != "NONE"),
            "maxWorkers": 1, "batchSize": 4, "maxBatchDelay": 1, "loadedAtStartup": True,
            "workers": [worker] if state in ("READY", "UNLOADING") else [],
            "jobQueueStatus": {"remainingCapacity": 100, "pendingRequests": 0},
        }  # fmt: skip
        if customized:
            entry["customizedMetadata"] = card(name, CLASSES, self.image_size)
        return entry


def card(name: str, classes: Sequence[str], image_size: int) -> dict[str, Any]:
    """The metadata of a model's archive."""
    defaults = {"confidence": 0.25, "iou": 0.45, "classes": None, "max_detections": 1000, "agnostic": False,
                "multi_label": False, "image_size": image_size}  # fmt: skip
    return {
        "title": "YOLOv5 on TorchServe", "description": "Detects objects.", "model": name, "version": "1.0",
        "variant": "yolov5s", "classes": list(classes), "defaults": defaults, "image_size": image_size,
        "precision": "fp32", "engine": "openvino", "device": "cpu", "worker": 7, "licence": "AGPL-3.0",
        "weights_sha256": "0" * 64,
    }  # fmt: skip


@contextmanager
def standing_in() -> Iterator[StandIn]:
    """A stand-in that runs during the block."""
    stand_in = StandIn()
    with answering(stand_in.reply) as url:
        stand_in.url = url
        yield stand_in


def detect_only(*detections: Detection) -> Predict:
    """A model that finds these detections."""
    return lambda model, body: (200, json.dumps(document(detections, model=model)).encode())
