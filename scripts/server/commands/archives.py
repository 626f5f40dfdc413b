"""Provides the archives that a start serves; missing and stale archives are built.

`python -m server.commands.archives` does only this: it is the container that fills the model store.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archiver.build import build_archive
from archiver.errors import ArchiverError, ChecksumMismatch, WeightsUnavailable
from archiver.fingerprint import read_description
from archiver.options import ArchiveOptions, EngineName, Precision, archive_name, default_model_store
from archiver.weights import default_image_size, default_licence, find_weights
from server.arguments import FALLBACK_MODEL, add_build_arguments, add_model_arguments
from server.runtime.progress import run_with_progress


@dataclass(frozen=True)
class BuildOptions:
    """How archives are built. `calibration`: a folder with pictures, for int8."""

    precision: Precision
    engine: EngineName
    calibration: Path | None

    @classmethod
    def from_arguments(cls, arguments: argparse.Namespace) -> BuildOptions:
        """The options on the command line, see arguments.py."""
        return cls(arguments.precision, arguments.engine, arguments.calibration)


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the model store. Returns 0 if it has a model to serve."""
    parser = argparse.ArgumentParser(prog="archives", description="Build the archives that are missing or stale.")
    add_model_arguments(parser)
    add_build_arguments(parser)
    arguments = parser.parse_args(argv)
    try:
        provide_archives(arguments.models, default_model_store(), BuildOptions.from_arguments(arguments))
    except (ArchiverError, OSError) as error:
        print(f"archives: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("archives: interrupted; temporary files were removed", file=sys.stderr)
        return 130
    return 0


def provide_archives(models: Sequence[str], store: Path, options: BuildOptions) -> dict[str, Path]:
    """Current archives by served name; only `shapes` if none of the models is available.

    Unavailable models are listed on standard error and skipped. Raises ArchiverError if a checkpoint cannot be
    archived, or if a download is not the released file.
    """
    archives = {}
    for model in models:
        name = archive_name(model, options.precision)
        try:
            archives[name] = _provide_archive(model, store, options)
            print(f"{name}: archive {archives[name]}")
        except ChecksumMismatch:
            raise  # it is a WeightsUnavailable, but a file that differs from the release must not be skipped
        except WeightsUnavailable as error:
            print(f"{model}: NOT SERVED: {error}", file=sys.stderr)
    if not archives:
        print(
            f"\n*** None of {', '.join(models)} is available. Serving `{FALLBACK_MODEL}` instead: a small network of "
            "this project\n*** that detects coloured shapes only. To serve other models, put their checkpoints into "
            "weights/\n*** and start again.\n",
            file=sys.stderr,
        )
        archives[archive_name(FALLBACK_MODEL, options.precision)] = _provide_archive(FALLBACK_MODEL, store, options)
    return archives


def _provide_archive(model: str, store: Path, options: BuildOptions) -> Path:
    name = archive_name(model, options.precision)
    try:
        checkpoint = find_weights(model)
    except WeightsUnavailable:
        existing = store / f"{name}.mar"
        if read_description(existing) is None:
            raise
        return existing  # built elsewhere: its checkpoint is not on this machine
    archive_options = ArchiveOptions(
        name=name,
        model_store=store,
        image_size=default_image_size(model),
        engine=options.engine,
        precision=options.precision,
        licence=default_licence(model),
    )
    return run_with_progress(
        f"archiving {name}", lambda: build_archive(checkpoint, archive_options, options.calibration)
    )


if __name__ == "__main__":
    # SIGTERM, which stops a container, removes temporary files as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
