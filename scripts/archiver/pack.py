"""Packs program files and the handler into NAME.mar. Equal input gives equal bytes; the file is replaced atomically."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from detection.model_description import DESCRIPTION_FILE, ModelDescription

from .errors import PackingError
from .fingerprint import HANDLER_FOLDER, handler_files
from .options import ArchiveOptions
from .storage import atomic_file, failed_write

HANDLER_FILE = "yolov5_handler.py"
CONFIG_FILE = "model-config.yaml"
MANIFEST = "MAR-INF/MANIFEST.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(
    programs: Sequence[Path], description: ModelDescription, options: ArchiveOptions, handler: Path = HANDLER_FOLDER
) -> Path:
    """Put the engine's program files, model.json and the handler into the model store as one archive."""
    with disk_errors(options.archive_path), tempfile.TemporaryDirectory(prefix="archiver-") as scratch:
        raw_archive = _run_archiver(Path(scratch), programs, description, options, handler)
        with atomic_file(options.archive_path) as file:
            _rewrite(raw_archive, file)
    return options.archive_path


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn a failed write into a PackingError that names the file and the cause, such as a full disk."""
    try:
        yield
    except OSError as error:
        raise PackingError(f"{failed_write(target, error)} (temporary files go to {tempfile.gettempdir()})") from error


def _run_archiver(
    scratch: Path, programs: Sequence[Path], description: ModelDescription, options: ArchiveOptions, handler: Path
) -> Path:
    """Run torch-model-archiver on a copy of all files, in its own folder and with its own TMPDIR."""
    content, temporary = scratch / "content", scratch / "tmp"
    temporary.mkdir()
    for name, source in handler_files(handler).items():
        (content / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, content / name)
    for program in programs:
        shutil.copyfile(program, content / program.name)
    description.write(content / DESCRIPTION_FILE)
    # Relative paths: the archiver splits on commas and expands wildcards.
    command = [sys.executable, "-m", "model_archiver.model_packaging", "--model-name", options.name]
    command += ["--version", options.version, "--handler", f"content/{HANDLER_FILE}", "--extra-files", "content"]
    command += ["--config-file", f"content/{CONFIG_FILE}", "--archive-format", "zip-store", "--export-path", "."]
    done = subprocess.run(
        command, cwd=scratch, env={**os.environ, "TMPDIR": str(temporary)}, capture_output=True, text=True, check=False
    )
    raw_archive = scratch / f"{options.name}.mar"
    if done.returncode != 0 or not raw_archive.is_file():
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise PackingError(f"{options.archive_path}: torch-model-archiver failed: {reason}")
    return raw_archive


def _rewrite(raw_archive: Path, file: BinaryIO) -> None:
    """Copy an archive with its entries sorted by name, and without times, owners and the manifest's date.

    strategy: entries are stored, not deflated: weights hardly shrink, and TorchServe unpacks them at each start.
    """
    with zipfile.ZipFile(raw_archive) as source, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(source.namelist()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            with source.open(name) as reader, target.open(entry, "w") as writer:
                if name == MANIFEST:
                    manifest = json.load(reader)
                    manifest.pop("createdOn", None)
                    writer.write(json.dumps(manifest, sort_keys=True, indent=1).encode())
                else:
                    shutil.copyfileobj(reader, writer, 1 << 20)
