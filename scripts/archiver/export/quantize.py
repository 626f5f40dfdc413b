"""An fp32 program to int8, by nncf's post-training quantisation, and what that costs in accuracy."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from detection.cores import available_cores
from detection.detector import Detections, Detector, Task
from detection.engine import OpenVINOEngine
from detection.image import MAX_PIXELS, decode_image
from detection.letterbox import Letterbox
from detection.model_description import Description
from detection.options import Options

from ..accuracy import Boxes, Precision, mean_average_precision, read_labels
from ..errors import CalibrationError, ExportError
from .calibration import Calibration
from .graph import save_program

PRESET = "mixed"  # weights symmetric, activations not: SiLU's are all above -0.28


def quantize(program: Path, calibration: Calibration, image_size: int, stride: int, folder: Path) -> tuple[Path, Path]:
    """The int8 form of the OpenVINO program, into `folder`; the same bytes for the same pictures.

    The pictures are decoded and letterboxed by the code that serves, so the network sees here what it will see there.
    What tells where an object is stays in fp32: it costs next to nothing, and the handler compares it.
    """
    import nncf
    import openvino

    nncf.set_log_level(logging.ERROR)
    inputs = []
    for index, data in enumerate(calibration.pictures):
        try:
            image = decode_image(data, MAX_PIXELS)
        except Exception as error:
            raise CalibrationError(f"calibration picture {index + 1}: {error}") from error
        inputs.append(Letterbox.fit(image.shape[:2], image_size, stride).apply(image)[None])
    model = openvino.Core().read_model(program)
    outputs = [output.get_any_name() for output in model.outputs]
    try:
        quantized = nncf.quantize(
            model,
            nncf.Dataset(inputs),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(inputs),
            ignored_scope=nncf.IgnoredScope(names=_objectness_layers(model)),
        )
    except (RuntimeError, nncf.ValidationError) as error:
        raise ExportError(f"nncf could not quantise the network: {str(error).splitlines()[0]}") from error
    return save_program(quantized, outputs, folder)


def _objectness_layers(model: Any) -> list[str]:
    """Names of the convolutions whose outputs are called objectness."""
    named = [output for output in model.outputs if output.get_any_name().startswith("objectness")]
    # Result <- Add of the bias <- Convolution
    sums = [output.get_node().input_value(0).get_node() for output in named]
    return [
        value.get_node().get_friendly_name()
        for node in sums
        for value in node.input_values()
        if value.get_node().get_type_name() == "Convolution"
    ]


def measure(program: Path, description: Description, calibration: Calibration) -> Precision | None:
    """The program's precision on the calibration's labelled pictures; None without labels."""
    labelled = [(data, path) for data, path in zip(calibration.pictures, calibration.labels, strict=True) if path]
    if not labelled:
        return None
    detector = Detector(
        OpenVINOEngine(program, available_cores(), lanes=1), description.head(program.parent), MAX_PIXELS
    )
    options = replace(
        Options(), confidence=0.001, iou=0.6, max_detections=300, multi_label=True, image_size=description.image_size
    )
    found, truth = [], []
    for data, path in labelled:
        [result] = detector.detect([Task(data, options)])
        if not isinstance(result, Detections):
            raise CalibrationError(f"the picture of {path.name}: {result}")
        height, width = result.image_hw
        found.append(Boxes(result.boxes, result.class_ids, result.confidences))
        try:
            truth.append(read_labels(path, (width, height)))
        except ValueError as error:
            raise CalibrationError(str(error)) from error
    return mean_average_precision(found, truth) if any(len(one.boxes) for one in truth) else None
