"""Builds the archive of a checkpoint in the model store, unless a current one is there already."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from detection.model_description import CalibrationRecord, ModelDescription

from .errors import CalibrationError
from .export.calibration import Calibration
from .fingerprint import fingerprint, is_current, read_description
from .options import ArchiveOptions
from .pack import disk_errors, pack
from .weights import EMBEDDED

if TYPE_CHECKING:
    from .checkpoint.reader import Checkpoint


def build_archive(
    checkpoint: Path,
    options: ArchiveOptions,
    calibration_folder: Path | None = None,
    report: Callable[[str], None] = print,
) -> Path:
    """The archive of this checkpoint with these options. It is built only if it is missing or its sources changed.

    Building with precision int8 needs a folder with calibration pictures, except for the embedded checkpoint. `report`
    receives one line: the loss of accuracy through int8.
    """
    int8 = options.precision == "int8"
    calibration = Calibration.from_folder(calibration_folder) if int8 and calibration_folder else None
    calibration_sha256 = calibration.sha256 if calibration else _recorded_calibration(options)
    current_fingerprint = fingerprint(checkpoint, options, calibration_sha256=calibration_sha256)
    if is_current(options.archive_path, current_fingerprint):
        return options.archive_path
    if int8 and calibration is None:
        calibration = _default_calibration(checkpoint, options)
        current_fingerprint = fingerprint(checkpoint, options, calibration_sha256=calibration.sha256)
    # Imported here: importing torch and OpenVINO takes seconds, and a current archive needs neither.
    from .checkpoint.reader import load_checkpoint
    from .export.graph import export_openvino, export_torch
    from .export.split_head import split_head

    loaded = load_checkpoint(checkpoint)
    description = describe(loaded, options, current_fingerprint)
    with disk_errors(options.archive_path), tempfile.TemporaryDirectory(prefix="archiver-") as folder:
        split = split_head(loaded.network, loaded.anchors)
        head = split.save(Path(folder))
        programs: tuple[Path, ...]
        if options.engine == "openvino":
            programs = export_openvino(split.network, split.output_names, loaded.strides, Path(folder))
        else:
            programs = export_torch(split.network, loaded.strides, Path(folder))
        if calibration:
            programs, description = _quantize(programs[0], calibration, description, report)
        return pack([*programs, *head], description, options)


def describe(checkpoint: "Checkpoint", options: ArchiveOptions, fingerprint: str) -> ModelDescription:
    """The content of model.json, before calibration."""
    return ModelDescription(
        name=options.name,
        version=options.version,
        variant=checkpoint.variant,
        class_names=checkpoint.class_names,
        strides=checkpoint.strides,
        anchors=checkpoint.anchors,
        head=checkpoint.head,
        reg_max=checkpoint.reg_max,
        image_size=options.image_size,
        precision=options.precision,
        calibration=None,
        engine=options.engine,
        weights_sha256=checkpoint.weights_sha256,
        licence=options.licence,
        fingerprint=fingerprint,
    )


def _quantize(
    program: Path, calibration: Calibration, description: ModelDescription, report: Callable[[str], None]
) -> tuple[tuple[Path, ...], ModelDescription]:
    """The int8 program, and the description with its calibration. The head's weights lie beside `program`."""
    from detection.head import load_head

    from .export.quantize import PRESET, measure_precision, quantize

    folder = program.parent / "int8"
    folder.mkdir()
    programs = quantize(program, calibration, description.image_size, max(description.strides), folder)
    head = load_head(program.parent, description)
    fp32, int8 = (measure_precision(path, head, description.image_size, calibration) for path in (program, programs[0]))
    if fp32 and int8:
        report(
            f"{description.name}: mAP50-95 on {len(calibration.pictures)} calibration pictures: "
            f"{fp32.at_50_95:.4f} in fp32, {int8.at_50_95:.4f} in int8, a loss of {fp32.at_50_95 - int8.at_50_95:.4f}"
        )
    else:
        report(
            f"{description.name}: the loss of accuracy through int8 was not measured: the calibration pictures have "
            "no labels"
        )
    record = CalibrationRecord(len(calibration.pictures), calibration.sha256, PRESET)
    return programs, replace(description, calibration=record)


def _default_calibration(checkpoint: Path, options: ArchiveOptions) -> Calibration:
    """The calibration where none was given: only the embedded checkpoint has one."""
    if checkpoint == EMBEDDED:
        return Calibration.of_demo_model()
    raise CalibrationError(
        f"{options.name}: int8 needs calibration pictures, similar to those it will detect in: --calibration DIR"
    )


def _recorded_calibration(options: ArchiveOptions) -> str | None:
    """The sha256 of the calibration pictures of the archive in the store, None if it has none."""
    description = read_description(options.archive_path) if options.precision == "int8" else None
    return description.calibration.sha256 if description and description.calibration else None
