"""TorchServe's door to the detector: a batch of requests in, a response for each out."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from detection.detector import Detections, Detector, Task
from detection.engine import load_engine
from detection.errors import DetectionError
from detection.image import MAX_PIXELS
from detection.model_description import Description
from detection.options import Options
from detection.request import Contract, Request
from detection.response import Encoder, Response, encode_error
from worker_metrics import Measures

logger = logging.getLogger(__name__)

TITLE = "YOLOv5 on TorchServe"


class YOLOv5Handler:
    """One worker's network. A handler module may define only this one class."""

    def initialize(self, context: Any) -> None:
        """Load the archive that TorchServe unpacked, and run it once so that no client waits for the first time."""
        _quieten()
        folder = Path(context.system_properties["model_dir"])
        settings = context.model_yaml_config or {}
        config = settings.get("detection", {})
        gpu = context.system_properties.get("gpu_id")
        self.device = "cpu" if gpu is None else f"cuda:{gpu}"
        self.network = Description.read(folder / "model.json")
        engine = load_engine(folder, self.network, self.device, settings.get("batchSize", 1))
        self.detector = Detector(engine, self.network.head(folder), config.get("max_pixels", MAX_PIXELS))
        defaults = replace(Options(image_size=self.network.image_size), **config.get("options", {}))
        self.contract = Contract(context.model_name, self.network.class_names, defaults)
        version = (context.manifest or {}).get("model", {}).get("modelVersion", self.network.version)
        self.encoder = Encoder(context.model_name, version, self.network.class_names)
        self.measures = Measures(context.metrics, context.model_name, version)
        self.detector.warm_up(defaults)

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[Any]:
        """Answer each request of the batch; a bad one fails alone."""
        parsed = [self._parse(row) for row in data]
        results = self.detector.detect([task for entry in parsed for task in _tasks(entry)])
        self.measures.note(len(data), results)
        found = iter(results)
        answers: list[Any] = []
        for index, (row, entry) in enumerate(zip(data, parsed, strict=True)):
            # Management's describe comes with this header and no body; a client may send it with a picture.
            if not row and context.get_request_header(index, "describe") == "True":
                answers.append(json.dumps(self.describe_handle()))
                continue
            response = self._respond(entry, found)
            context.set_response_status(response.status, response.reason, index)
            context.set_response_content_type(index, "application/json")
            answers.append(response.body)
        return answers

    def describe_handle(self) -> dict[str, Any]:
        """What this model is, for management's describe with customized=true."""
        network = self.network
        return {
            "title": TITLE,
            "description": f"Detects {len(network.class_names)} classes of objects in pictures with {network.variant}.",
            "model": self.encoder.model,
            "version": self.encoder.version,
            "variant": network.variant,
            "classes": list(network.class_names),
            "defaults": asdict(self.contract.defaults),
            "image_size": self.contract.defaults.image_size,
            "precision": network.precision,
            "engine": network.engine,
            "device": self.device,
            "worker": os.getpid(),  # who answers was idle: that is how a version is drained before it is removed
            "licence": network.licence,
            "weights_sha256": network.weights_sha256,
        }

    def _parse(self, row: dict[str, Any]) -> Request | Exception:
        try:
            return self.contract.parse(row)
        except Exception as error:  # whatever is wrong with one request must not fail the rest of the batch
            return error

    def _respond(self, entry: Request | Exception, found: Iterator[Detections | Exception]) -> Response:
        """The response to one request, taking its tasks' results from `found`."""
        if isinstance(entry, Exception):
            _log_fault(entry)
            return encode_error(entry)
        results = [next(found) if isinstance(task, Task) else task for task in entry.tasks]
        for result in results:
            _log_fault(result)
        return self.encoder.encode(results, entry.form)


def _tasks(entry: Request | Exception) -> list[Task]:
    return [] if isinstance(entry, Exception) else [task for task in entry.tasks if isinstance(task, Task)]


def _log_fault(result: Detections | Exception) -> None:
    """Log what is not the client's doing; the client is told no more than that it happened."""
    if isinstance(result, Exception) and not isinstance(result, DetectionError):
        logger.error("a request failed by a fault of the service", exc_info=result)


def _quieten() -> None:
    """Two habits of TorchServe's worker that cost every request, turned off in this process."""
    # It would parse JSON before we do, and log a traceback for each body that is none.
    os.environ["TS_DECODE_INPUT_REQUEST"] = "false"
    # It logs a line per batch.
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: not record.getMessage().startswith("Backend received inference"))
