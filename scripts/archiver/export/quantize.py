"""Quantises an fp32 program to int8 with nncf, and measures the accuracy of a program."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from detection.cores import available_cores
from detection.detector import Detector
from detection.engine import OpenVINOEngine
from detection.head import AnchorFreeHead, AnchorHead
from detection.image import MAX_PIXELS, decode_image
from detection.letterbox import Letterbox
from detection.options import Options
from detection.records import Detections, Task

from ..accuracy import AveragePrecision, Boxes, mean_average_precision, read_labels
from ..errors import CalibrationError, ExportError
from .calibration import Calibration
from .graph import save_program

PRESET = "mixed"  # weights symmetric, activations asymmetric: those of SiLU are all above -0.28


def quantize(program: Path, calibration: Calibration, image_size: int, stride: int, folder: Path) -> tuple[Path, Path]:
    """Write the int8 form of the OpenVINO program into `folder`; equal pictures give equal bytes.

    The handler's own code decodes and letterboxes the pictures. The layers of the objectness stay in fp32: they take
    little time, and the handler compares their output with the threshold.
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
    output_names = [output.get_any_name() for output in model.outputs]
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
    return save_program(quantized, output_names, folder)


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


def measure_precision(
    program: Path, head: AnchorHead | AnchorFreeHead, image_size: int, calibration: Calibration
) -> AveragePrecision | None:
    """The program's average precision on the labelled calibration pictures; None if there are no labels."""
    labelled = [(data, path) for data, path in zip(calibration.pictures, calibration.labels, strict=True) if path]
    if not labelled:
        return None
    detector = Detector(OpenVINOEngine(program, available_cores(), lanes=1), head, MAX_PIXELS)
    options = Options(confidence=0.001, iou=0.6, max_detections=300, multi_label=True, image_size=image_size)
    detections, labels = [], []
    for data, path in labelled:
        [result] = detector.detect([Task(data, options)])
        if not isinstance(result, Detections):
            raise CalibrationError(f"the picture of {path.name}: {result}")
        height, width = result.image_hw
        detections.append(Boxes(result.boxes, result.class_ids, result.confidences))
        try:
            labels.append(read_labels(path, (width, height)))
        except ValueError as error:
            raise CalibrationError(str(error)) from error
    return mean_average_precision(detections, labels) if any(len(label.boxes) for label in labels) else None
