"""Command-line options that the commands and the containers share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import get_args

from archiver.options import EngineName, Precision

DEFAULT_MODELS = "yolov5s,yolov5m,yolov5l"
FALLBACK_MODEL = "shapes"  # part of the project; served if none of the requested models is available


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the models and their precision."""
    parser.add_argument(
        "--models", default=DEFAULT_MODELS, type=_model_names, help="model names, separated by commas (%(default)s)"
    )
    parser.add_argument("--precision", choices=get_args(Precision), default="fp32", help="of the networks (fp32)")


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for building archives."""
    parser.add_argument("--engine", choices=get_args(EngineName), default="openvino", help="torch: for GPUs (openvino)")
    parser.add_argument(
        "--calibration", type=Path, metavar="DIR", default=os.environ.get("CALIBRATION") or None,
        help="pictures for int8 calibration (the variable CALIBRATION)",
    )  # fmt: skip


def _model_names(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise argparse.ArgumentTypeError("expected at least one name, such as yolov5s")
    return names
