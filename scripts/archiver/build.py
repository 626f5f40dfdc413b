"""From a checkpoint to its archive in the model store, doing nothing if the archive is current."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import CalibrationError
from .export.calibration import Calibration
from .fingerprint import DESCRIPTION_FILE, fingerprint, is_current, read_description
from .options import ArchiveOptions
from .pack import disk_errors, pack, write_description
from .weights import EMBEDDED

if TYPE_CHECKING:
    from .checkpoint.reader import Checkpoint


def build_archive(
    checkpoint: Path,
    options: ArchiveOptions,
    calibration_folder: Path | None = None,
    report: Callable[[str], None] = print,
) -> Path:
    """The archive of this checkpoint with these options; built only if there is none yet or its sources changed.

    int8 needs a folder with pictures to calibrate with, unless there is a current archive already or the checkpoint is
    the embedded one. `report` is told what int8 costs.
    """
    int8 = options.precision == "int8"
    calibration = Calibration.from_folder(calibration_folder) if int8 and calibration_folder else None
    calibration_sha256 = calibration.sha256 if calibration else _recorded_calibration(options)
    print_of_sources = fingerprint(checkpoint, options, calibration_sha256=calibration_sha256)
    if is_current(options.archive_path, print_of_sources):
        return options.archive_path
    if int8 and calibration is None:
        calibration = _own_calibration(checkpoint, options)
        print_of_sources = fingerprint(checkpoint, options, calibration_sha256=calibration.sha256)
    # Imported here: torch and OpenVINO take seconds, and a current archive needs neither.
    from .checkpoint.reader import load_checkpoint
    from .export.graph import export_openvino, export_torch
    from .export.split_head import cut

    loaded = load_checkpoint(checkpoint)
    description = describe(loaded, options, print_of_sources)
    with disk_errors(options.archive_path), tempfile.TemporaryDirectory(prefix="archiver-") as folder:
        parts = cut(loaded.network, loaded.anchors)
        head = parts.save(Path(folder))
        programs: tuple[Path, ...]
        if options.engine == "openvino":
            programs = export_openvino(parts.network, parts.outputs, loaded.strides, Path(folder))
        else:
            programs = export_torch(parts.network, loaded.strides, Path(folder))
        if calibration:
            programs = _quantize(programs[0], head, calibration, description, report)
        return pack([*programs, *head], description, options)


def describe(checkpoint: "Checkpoint", options: ArchiveOptions, print_of_sources: str) -> dict[str, Any]:
    """The content of model.json."""
    return {
        "name": options.name,
        "version": options.version,
        "variant": checkpoint.variant,
        "class_names": checkpoint.class_names,
        "strides": checkpoint.strides,
        "anchors": checkpoint.anchors,
        "head": checkpoint.head,
        "reg_max": checkpoint.reg_max,
        "image_size": options.image_size,
        "precision": options.precision,
        "calibration": None,
        "engine": options.engine,
        "weights_sha256": checkpoint.weights_sha256,
        "licence": options.licence,
        "fingerprint": print_of_sources,
    }


def _quantize(
    program: Path,
    head: tuple[Path, ...],
    calibration: Calibration,
    description: dict[str, Any],
    report: Callable[[str], None],
) -> tuple[Path, ...]:
    """The int8 program; what it was calibrated with goes into the description."""
    from detection.model_description import Description

    from .export.quantize import PRESET, measure, quantize

    folder = program.parent / "int8"
    folder.mkdir()
    description["calibration"] = {
        "pictures": len(calibration.pictures),
        "sha256": calibration.sha256,
        "preset": PRESET,
    }
    programs = quantize(program, calibration, description["image_size"], max(description["strides"]), folder)
    for file in head:
        shutil.copyfile(file, folder / file.name)
    written = write_description(description, folder / DESCRIPTION_FILE)
    before, after = (measure(each, Description.read(written), calibration) for each in (program, programs[0]))
    if before and after:
        report(
            f"{description['name']}: mAP50-95 on {len(calibration.pictures)} calibration pictures "
            f"{before.at_50_95:.4f} in fp32, {after.at_50_95:.4f} in int8: {before.at_50_95 - after.at_50_95:.4f} lost"
        )
    else:
        report(f"{description['name']}: no labels beside the calibration pictures, so what int8 costs was not measured")
    return programs


def _own_calibration(checkpoint: Path, options: ArchiveOptions) -> Calibration:
    """Pictures for a checkpoint that comes without any: only the embedded one's can be drawn."""
    if checkpoint == EMBEDDED:
        return Calibration.of_shapes()
    raise CalibrationError(
        f"{options.name}: int8 needs pictures to calibrate with, like those it will see: --calibration DIR"
    )


def _recorded_calibration(options: ArchiveOptions) -> str | None:
    """What the archive in the store was calibrated with."""
    if options.precision != "int8":
        return None
    recorded = (read_description(options.archive_path) or {}).get("calibration") or {}
    return recorded.get("sha256") if isinstance(recorded, dict) else None
