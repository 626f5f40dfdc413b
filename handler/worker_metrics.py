"""What a worker tells TorchServe's metrics: counts and times of its batches.

The names are declared in scripts/server/runtime/metrics.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detection.detector import Detections

STEPS = ("decode", "inference", "suppression")


class Measures:
    """The declared metrics of one model's version; a TorchServe that declares none of them is told nothing."""

    def __init__(self, cache: Any, model: str, version: str) -> None:
        """`cache` is TorchServe's: metrics by kind and name."""
        kinds = getattr(cache, "cache", {})
        self._metrics = {name: metric for kind in kinds.values() for name, metric in kind.items()}
        self._dimensions = [model, version]

    def note(self, requests: int, results: Sequence[Detections | Exception]) -> None:
        """Count one batch, its requests, and of each picture what was found and how long each step took."""
        found = [result for result in results if isinstance(result, Detections)]
        self._add("yolov5_batches_total", 1)
        self._add("yolov5_batched_requests_total", requests)
        self._add("yolov5_pictures_total", len(found))
        self._add("yolov5_detections_total", sum(len(result.confidences) for result in found))
        for step in STEPS:
            for result in found:
                self._add(f"yolov5_{step}_seconds", round(getattr(result.timings, step), 6))

    def _add(self, name: str, value: float) -> None:
        metric = self._metrics.get(name)
        if metric is not None:
            metric.add_or_update(value, self._dimensions)
