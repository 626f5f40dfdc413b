"""The metrics of a worker: counts and times of its batches. Declared in scripts/server/runtime/metrics.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detection.records import Detections

STEPS = ("decode", "inference", "suppression")


class WorkerMetrics:
    """The metrics of one version of a model. Metrics that the server does not declare are not recorded."""

    def __init__(self, cache: Any, model: str, version: str) -> None:
        """`cache` is TorchServe's: metrics by kind and name."""
        kinds = getattr(cache, "cache", {})
        self._metrics = {name: metric for kind in kinds.values() for name, metric in kind.items()}
        self._dimensions = [model, version]

    def record(self, request_count: int, results: Sequence[Detections | Exception]) -> None:
        """Count one batch, its requests and its detections, and record the seconds of each image's steps."""
        successes = [result for result in results if isinstance(result, Detections)]
        self._add("yolov5_batches_total", 1)
        self._add("yolov5_batched_requests_total", request_count)
        self._add("yolov5_pictures_total", len(successes))
        self._add("yolov5_detections_total", sum(len(result.confidences) for result in successes))
        for step in STEPS:
            for result in successes:
                self._add(f"yolov5_{step}_seconds", round(getattr(result.timings, step), 6))

    def _add(self, name: str, value: float) -> None:
        metric = self._metrics.get(name)
        if metric is not None:
            metric.add_or_update(value, self._dimensions)
