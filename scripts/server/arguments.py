"""Which models are served: the options that the commands and containers share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import get_args

from archiver.options import EngineName, Precision

DEFAULT_MODELS = "yolov5s,yolov5m,yolov5l"
FALLBACK = "shapes"  # comes with the project; served where none of the wanted ones can be had


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Options for the models and their precision."""
    parser.add_argument("--models", default=DEFAULT_MODELS, type=_names, help="names joined by commas (%(default)s)")
    parser.add_argument("--precision", choices=get_args(Precision), default="fp32", help="of the networks (fp32)")


def add_making(parser: argparse.ArgumentParser) -> None:
    """Options for how their archives are made."""
    parser.add_argument("--engine", choices=get_args(EngineName), default="openvino", help="torch: GPUs (openvino)")
    parser.add_argument(
        "--calibration", type=Path, metavar="DIR", default=os.environ.get("CALIBRATION") or None,
        help="pictures to make int8 archives with (the variable CALIBRATION)",
    )  # fmt: skip


def _names(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise argparse.ArgumentTypeError("expected at least one name, such as yolov5s")
    return names
