"""The archives in the model store that can be registered."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "MAR-INF/MANIFEST.json"
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.mar")
MAX_NAME_LENGTH = 160


@dataclass(frozen=True)
class Archive:
    """An archive in the store: its file name, and the model and version in its manifest."""

    file: str
    model: str
    version: str
    size_bytes: int


def is_archive_name(file: str) -> bool:
    """Whether this is a plain file name of an archive, without a folder or URL."""
    return FILE_NAME.fullmatch(file) is not None and len(file) <= MAX_NAME_LENGTH


def list_archives(store: Path) -> list[Archive]:
    """The archives in a folder, sorted by file name. Other files and damaged archives are left out."""
    archives = []
    for path in sorted(store.glob("*.mar")):
        if not is_archive_name(path.name):
            continue
        try:
            with zipfile.ZipFile(path) as archive:
                model = json.loads(archive.read(MANIFEST))["model"]
            entry = Archive(path.name, str(model["modelName"]), str(model["modelVersion"]), path.stat().st_size)
        except (OSError, zipfile.BadZipFile, ValueError, KeyError, TypeError):
            continue
        archives.append(entry)
    return archives
