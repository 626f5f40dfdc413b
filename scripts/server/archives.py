"""The archives that a start serves, built where they are missing or stale."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from archiver.build import build_archive
from archiver.cli import archive_name
from archiver.errors import ChecksumMismatch, WeightsUnavailable
from archiver.fingerprint import read_description
from archiver.options import ArchiveOptions, Precision
from archiver.weights import default_image_size, default_licence, find_weights
from server.progress import shown
from server.settings import Settings

FALLBACK = "shapes"


def choose_archives(
    models: Sequence[str], settings: Settings, precision: Precision, calibration: Path | None
) -> dict[str, Path]:
    """Current archives by the name they are served under; `shapes` alone if none of the models can be had.

    What cannot be had is said on standard error. Raises ArchiverError where a checkpoint was found and could not be
    archived, or a download is not the released file.
    """
    archives = {}
    for model in models:
        name = archive_name(model, precision)
        try:
            archives[name] = _archive(model, settings, precision, calibration)
            print(f"{name}: archive {archives[name]}")
        except ChecksumMismatch:
            raise  # a file that is not what was released is no mere absence
        except WeightsUnavailable as error:
            print(f"{model}: NOT SERVED: {error}", file=sys.stderr)
    if not archives:
        print(
            f"\n*** None of {', '.join(models)} could be had. Serving `{FALLBACK}` instead: a small network of this "
            "project\n*** that knows coloured shapes only. Put checkpoints into weights/ and start again for real "
            "ones.\n",
            file=sys.stderr,
        )
        archives[archive_name(FALLBACK, precision)] = _archive(FALLBACK, settings, precision, calibration)
    return archives


def _archive(model: str, settings: Settings, precision: Precision, calibration: Path | None) -> Path:
    name = archive_name(model, precision)
    try:
        checkpoint = find_weights(model)
    except WeightsUnavailable:
        ready_made = settings.model_store / f"{name}.mar"
        if read_description(ready_made) is None:
            raise
        return ready_made  # somebody's archive, whose checkpoint is elsewhere
    options = ArchiveOptions(
        name=name,
        model_store=settings.model_store,
        image_size=default_image_size(model),
        precision=precision,
        licence=default_licence(model),
    )
    return shown(f"archiving {name}", lambda: build_archive(checkpoint, options, calibration))
