"""The TorchServe handler: a batch of requests in, one response per request out."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from detection.detector import Detector
from detection.engine import load_engine
from detection.errors import DetectionError
from detection.head import load_head
from detection.image import MAX_PIXELS
from detection.model_description import DESCRIPTION_FILE, ModelDescription
from detection.options import Options
from detection.wire.parsed_request import ParsedRequest
from detection.wire.served_model import ServedModel
from worker_metrics import WorkerMetrics

logger = logging.getLogger(__name__)

TITLE = "YOLOv5 on TorchServe"


class YOLOv5Handler:
    """One worker's model. TorchServe accepts only one class in a handler module."""

    def initialize(self, context: Any) -> None:
        """Load the unpacked archive and run the network once, so that the first request is not slower than others."""
        _adapt_torchserve()
        folder = Path(context.system_properties["model_dir"])
        settings = context.model_yaml_config or {}
        config = settings.get("detection", {})
        gpu = context.system_properties.get("gpu_id")
        self.device = "cpu" if gpu is None else f"cuda:{gpu}"
        self.description = ModelDescription.read(folder / DESCRIPTION_FILE)
        engine = load_engine(folder, self.description, self.device, settings.get("batchSize", 1))
        head = load_head(folder, self.description)
        self.detector = Detector(engine, head, config.get("max_pixels", MAX_PIXELS))
        defaults = replace(Options(image_size=self.description.image_size), **config.get("options", {}))
        version = (context.manifest or {}).get("model", {}).get("modelVersion", self.description.version)
        self.model = ServedModel(context.model_name, version, self.description.class_names, defaults)
        self.worker_metrics = WorkerMetrics(context.metrics, context.model_name, version)
        self.detector.warm_up(defaults)

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[Any]:
        """The response to each request of the batch. An error of one request does not affect the others."""
        requests = [
            ParsedRequest.parse(row, context.get_all_request_header(index), self.model)
            for index, row in enumerate(data)
        ]
        results = self.detector.detect([task for request in requests for task in request.tasks])
        self.worker_metrics.record(len(data), results)
        _log_faults([*results, *(request.error for request in requests)])
        remaining = iter(results)
        bodies: list[str] = []
        for index, (row, request) in enumerate(zip(data, requests, strict=True)):
            # The management API's describe has this header and no body. A client may send the header with an image.
            if not row and context.get_request_header(index, "describe") == "True":
                bodies.append(json.dumps(self.describe_handle()))
                continue
            response = request.respond(remaining)
            context.set_response_status(response.status, response.reason, index)
            context.set_response_content_type(index, response.content_type)
            bodies.append(response.body)
        return bodies

    def describe_handle(self) -> dict[str, Any]:
        """The description of this model, for the management API's describe with customized=true."""
        description, model = self.description, self.model
        return {
            "title": TITLE,
            "description": f"Detects {len(model.class_names)} classes of objects in images with {description.variant}.",
            "model": model.name,
            "version": model.version,
            "variant": description.variant,
            "classes": list(model.class_names),
            "defaults": asdict(model.defaults),
            "image_size": model.defaults.image_size,
            "precision": description.precision,
            "engine": description.engine,
            "device": self.device,
            "worker": os.getpid(),  # a worker that answers has no batch in work: a swap drains a version that way
            "licence": description.licence,
            "weights_sha256": description.weights_sha256,
        }


def _log_faults(outcomes: Iterable[object]) -> None:
    """Log errors of the service. Clients get no details of them."""
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, DetectionError):
            logger.error("a request failed by an error of the service", exc_info=outcome)


def _adapt_torchserve() -> None:
    """Turn off two things that TorchServe's worker does for every request."""
    # It parses JSON, which we do ourselves, and logs a traceback for each body that is not JSON.
    os.environ["TS_DECODE_INPUT_REQUEST"] = "false"
    # It logs a line per batch.
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: not record.getMessage().startswith("Backend received inference"))
