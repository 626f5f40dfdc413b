"""The command line of scripts/archive."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from .build import build_archive
from .errors import ArchiverError
from .fingerprint import read_description
from .options import FIRST_VERSION, ArchiveOptions, EngineName, Precision, archive_name, default_model_store
from .weights import KNOWN_NAMES, default_image_size, default_licence, find_weights


def main(argv: Sequence[str] | None = None) -> int:
    """Build the archive of one checkpoint. Returns 0 if it is in the model store, 1 if it failed, 130 on Ctrl-C."""
    arguments = _parser().parse_args(argv)
    try:
        checkpoint, options = _options_of(arguments)
        archive = build_archive(checkpoint, options, arguments.calibration)
    except ArchiverError as error:
        print(f"archive: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("archive: interrupted; temporary files were removed", file=sys.stderr)
        return 130
    print(_summary(archive))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="archive", description="Build a TorchServe archive from a YOLOv5 checkpoint.")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help=f"a .pt file, or one of {', '.join(KNOWN_NAMES)}")
    parser.add_argument("--name", help="name of the model (default: the checkpoint's file name)")
    parser.add_argument(
        "--version",
        default=FIRST_VERSION,
        help="version of the model (%(default)s); other versions are written to NAME-VERSION.mar",
    )
    parser.add_argument(
        "--image-size", type=int, help="longer side of the letterboxed image (default: 640; shapes: 320)"
    )
    parser.add_argument("--engine", choices=get_args(EngineName), default="openvino", help="(%(default)s)")
    parser.add_argument("--precision", choices=get_args(Precision), default="fp32", help="(%(default)s)")
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="DIR",
        help="calibration pictures for int8: a folder of pictures, or a YOLO data set with images/ and labels/, "
        "for which the loss of accuracy is printed",
    )
    parser.add_argument("--licence", help="licence of the weights, written to the archive")
    parser.add_argument(
        "--model-store",
        type=Path,
        default=default_model_store(),
        metavar="DIR",
        help="(default: $MODEL_STORE, else model_store/)",
    )
    return parser


def _options_of(arguments: argparse.Namespace) -> tuple[Path, ArchiveOptions]:
    """The path of the checkpoint and the options of its archive. Does not import torch."""
    name_or_path: str = arguments.checkpoint
    checkpoint = find_weights(name_or_path) if name_or_path in KNOWN_NAMES else Path(name_or_path)
    options = ArchiveOptions(
        name=archive_name(checkpoint.stem, arguments.precision) if arguments.name is None else arguments.name,
        model_store=arguments.model_store,
        version=arguments.version,
        image_size=default_image_size(name_or_path) if arguments.image_size is None else arguments.image_size,
        engine=arguments.engine,
        precision=arguments.precision,
        licence=default_licence(name_or_path) if arguments.licence is None else arguments.licence,
    )
    return checkpoint, options


def _summary(archive: Path) -> str:
    megabytes = archive.stat().st_size / 1e6
    description = read_description(archive)
    if description is None:
        return f"{archive}  {megabytes:.1f} MB"
    names = description.class_names
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{archive}  {megabytes:.1f} MB  {description.variant}  {len(names)} classes: {shown}"


if __name__ == "__main__":
    # SIGTERM, which stops a container, removes temporary files as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
