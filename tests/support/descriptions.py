"""Model descriptions for tests that need no checkpoint."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from detection.model_description import ModelDescription

_DESCRIPTION = ModelDescription(
    name="pets",
    version="1.2",
    variant="custom",
    class_names=("cat", "собака"),
    strides=(8, 16),
    anchors=(((10, 13), (16.5, 30)), ((30, 61), (62, 45))),
    head="anchor",
    reg_max=None,
    image_size=640,
    precision="fp32",
    calibration=None,
    engine="openvino",
    weights_sha256="0" * 64,
    licence="not stated",
    fingerprint="",
)


def description_with(**values: Any) -> ModelDescription:
    """A description of a network with anchors, with these values."""
    return replace(_DESCRIPTION, **values)
