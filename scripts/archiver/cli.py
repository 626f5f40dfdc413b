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
from .options import FIRST_VERSION, ArchiveOptions, EngineName, Precision
from .weights import KNOWN_NAMES, default_image_size, default_licence, find_weights

DEFAULT_STORE = Path(__file__).resolve().parents[2] / "model_store"


def main(argv: Sequence[str] | None = None) -> int:
    """Archive one checkpoint; 0 if the archive is in the store, 1 if not."""
    arguments = _parser().parse_args(argv)
    try:
        checkpoint, options = _request(arguments)
        archive = build_archive(checkpoint, options, arguments.calibration)
    except ArchiverError as error:
        print(f"archive: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("archive: interrupted; nothing was left behind", file=sys.stderr)
        return 130
    print(_summary(archive))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="archive", description="Build a TorchServe archive from a YOLOv5 checkpoint.")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help=f"a .pt file, or one of {', '.join(KNOWN_NAMES)}")
    parser.add_argument("--name", help="name of the model (the checkpoint's file name)")
    parser.add_argument(
        "--version", default=FIRST_VERSION, help="version of the model (%(default)s); others go into NAME-VERSION.mar"
    )
    parser.add_argument("--image-size", type=int, help="longer side of the letterboxed image (640; shapes: 320)")
    parser.add_argument("--engine", choices=get_args(EngineName), default="openvino", help="(%(default)s)")
    parser.add_argument("--precision", choices=get_args(Precision), default="fp32", help="(%(default)s)")
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="DIR",
        help="pictures to quantise to int8 with, or a YOLO "
        "data set's folder with images/ and labels/: then what int8 costs is printed",
    )
    parser.add_argument("--licence", help="licence of the weights, kept in the archive")
    parser.add_argument("--model-store", type=Path, default=DEFAULT_STORE, metavar="DIR", help="(%(default)s)")
    return parser


def _request(arguments: argparse.Namespace) -> tuple[Path, ArchiveOptions]:
    """The checkpoint's file and the options, found out without importing torch."""
    given: str = arguments.checkpoint
    checkpoint = find_weights(given) if given in KNOWN_NAMES else Path(given)
    options = ArchiveOptions(
        name=archive_name(checkpoint.stem, arguments.precision) if arguments.name is None else arguments.name,
        model_store=arguments.model_store,
        version=arguments.version,
        image_size=default_image_size(given) if arguments.image_size is None else arguments.image_size,
        engine=arguments.engine,
        precision=arguments.precision,
        licence=default_licence(given) if arguments.licence is None else arguments.licence,
    )
    return checkpoint, options


def archive_name(model: str, precision: str) -> str:
    """The name an archive of `model` has where none is given: yolov5s, yolov5s-int8."""
    return model if precision == "fp32" else f"{model}-{precision}"


def _summary(archive: Path) -> str:
    description = read_description(archive) or {}
    names = description.get("class_names", [])
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    size = archive.stat().st_size / 1e6
    return f"{archive}  {size:.1f} MB  {description.get('variant')}  {len(names)} classes: {shown}"


if __name__ == "__main__":
    # A stopped container sends SIGTERM: temporary files go then as they do after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
