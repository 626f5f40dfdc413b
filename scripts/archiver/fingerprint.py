"""What an archive was built from, in one hash: a start of the service skips building what is current.

This module imports neither torch nor OpenVINO, so that the check takes milliseconds.
"""

import hashlib
import json
import zipfile
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .errors import PackingError
from .options import ArchiveOptions
from .storage import reading

HANDLER_FOLDER = Path(__file__).resolve().parents[2] / "handler"
DESCRIPTION_FILE = "model.json"
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
    """Whether the archive exists, is whole, and was built from what the fingerprint covers."""
    description = read_description(archive)
    return description is not None and description.get("fingerprint") == fingerprint


def read_description(archive: Path) -> dict[str, Any] | None:
    """The archive's model.json; None if there is no archive that can be read."""
    try:
        with zipfile.ZipFile(archive) as opened:
            content = json.loads(opened.read(DESCRIPTION_FILE))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    return content if isinstance(content, dict) else None


def handler_files(folder: Path) -> dict[str, Path]:
    """The files of the handler's folder by their path inside the archive; caches and hidden files are left out."""
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(_is_left_out(name) for name in path.relative_to(folder).parts)
    }
    if not files:
        raise PackingError(f"{folder}: the handler's files were expected there, and there are none")
    return files


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's content."""
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_left_out(name: str) -> bool:
    return name == "__pycache__" or name.startswith(".") or name.endswith((".pyc", "~"))


def _installed_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
