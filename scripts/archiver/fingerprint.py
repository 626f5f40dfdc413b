"""The fingerprint of an archive: one hash of all that it is built from. A current archive is not built again.

This module imports neither torch nor OpenVINO, so the check takes milliseconds.
"""

import hashlib
import json
import zipfile
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from detection.model_description import DESCRIPTION_FILE, ModelDescription

from .errors import PackingError
from .options import ArchiveOptions
from .storage import read_errors

HANDLER_FOLDER = Path(__file__).resolve().parents[2] / "handler"
_PACKAGES = ("torch", "openvino", "torch-model-archiver")
_INT8_PACKAGES = ("nncf",)
_ARCHIVER_FOLDER = Path(__file__).resolve().parent


def fingerprint(
    checkpoint: Path, options: ArchiveOptions, handler: Path = HANDLER_FOLDER, calibration_sha256: str | None = None
) -> str:
    """Hex sha256 over the weights, the options, the handler's and archiver's sources and the packages that export."""
    settings = asdict(options)
    del settings["model_store"]
    packages = _PACKAGES + (_INT8_PACKAGES if options.precision == "int8" else ())
    facts = {
        "weights": sha256_of(checkpoint),
        "options": settings,
        "handler": {name: sha256_of(path) for name, path in handler_files(handler).items()},
        "archiver": {
            path.relative_to(_ARCHIVER_FOLDER).as_posix(): sha256_of(path) for path in _ARCHIVER_FOLDER.rglob("*.py")
        },
        "calibration": calibration_sha256,
        "packages": {package: _installed_version(package) for package in packages},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def is_current(archive: Path, fingerprint: str) -> bool:
    """Whether the archive is readable and has this fingerprint."""
    description = read_description(archive)
    return description is not None and description.fingerprint == fingerprint


def read_description(archive: Path) -> ModelDescription | None:
    """The archive's model.json; None if the archive is missing, damaged or of another version."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return ModelDescription.from_json(opened.read(DESCRIPTION_FILE))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def handler_files(folder: Path) -> dict[str, Path]:
    """The files of the handler's folder by their path in the archive, without caches and hidden files."""
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(_is_excluded(name) for name in path.relative_to(folder).parts)
    }
    if not files:
        raise PackingError(f"{folder}: the handler's files were expected there, and there are none")
    return files


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's content."""
    with read_errors(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_excluded(name: str) -> bool:
    return name == "__pycache__" or name.startswith(".") or name.endswith((".pyc", "~"))


def _installed_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
