"""The archives that a start serves, built where they are missing or stale.

`python -m server.commands.archives` builds them and does nothing else: the container that fills the model store.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archiver.build import build_archive
from archiver.cli import DEFAULT_STORE, archive_name
from archiver.errors import ArchiverError, ChecksumMismatch, WeightsUnavailable
from archiver.fingerprint import read_description
from archiver.options import ArchiveOptions, EngineName, Precision
from archiver.weights import default_image_size, default_licence, find_weights
from server.arguments import FALLBACK, add_choice, add_making
from server.runtime.progress import shown


@dataclass(frozen=True)
class Making:
    """How archives are made. `calibration`: a folder with pictures, for int8."""

    precision: Precision
    engine: EngineName
    calibration: Path | None

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Making:
        """What the command line says, see choice.py."""
        return cls(arguments.precision, arguments.engine, arguments.calibration)


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the model store; 0 if there is something to serve."""
    parser = argparse.ArgumentParser(prog="archives", description="Make the archives that are missing or stale.")
    add_choice(parser)
    add_making(parser)
    arguments = parser.parse_args(argv)
    try:
        choose_archives(arguments.models, Path(os.environ.get("MODEL_STORE", DEFAULT_STORE)), Making.of(arguments))
    except (ArchiverError, OSError) as error:
        print(f"archives: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("archives: interrupted; nothing was left behind", file=sys.stderr)
        return 130
    return 0


def choose_archives(models: Sequence[str], store: Path, making: Making) -> dict[str, Path]:
    """Current archives by the name they are served under; `shapes` alone if none of the models can be had.

    What cannot be had is said on standard error. Raises ArchiverError where a checkpoint was found and could not be
    archived, or a download is not the released file.
    """
    archives = {}
    for model in models:
        name = archive_name(model, making.precision)
        try:
            archives[name] = _archive(model, store, making)
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
        archives[archive_name(FALLBACK, making.precision)] = _archive(FALLBACK, store, making)
    return archives


def _archive(model: str, store: Path, making: Making) -> Path:
    name = archive_name(model, making.precision)
    try:
        checkpoint = find_weights(model)
    except WeightsUnavailable:
        ready_made = store / f"{name}.mar"
        if read_description(ready_made) is None:
            raise
        return ready_made  # somebody's archive, whose checkpoint is elsewhere
    options = ArchiveOptions(
        name=name,
        model_store=store,
        image_size=default_image_size(model),
        engine=making.engine,
        precision=making.precision,
        licence=default_licence(model),
    )
    return shown(f"archiving {name}", lambda: build_archive(checkpoint, options, making.calibration))


if __name__ == "__main__":
    # A stopped container sends SIGTERM: temporary files go then as they do after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
