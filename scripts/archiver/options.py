"""The options of an archive."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from .errors import OptionError

EngineName = Literal["openvino", "torch"]
Precision = Literal["fp32", "bf16", "int8"]
MAX_NAME_LENGTH = 64
FIRST_VERSION = "1.0"
IMAGE_SIZE_STEP = 32
IMAGE_SIZE_RANGE = (32, 1280)
_REPOSITORY_STORE = Path(__file__).resolve().parents[2] / "model_store"


@dataclass(frozen=True)
class ArchiveOptions:
    """All options that change an archive, besides the checkpoint. Raises OptionError for an invalid value.

    image_size: longer side in pixels that the handler letterboxes to, unless a request sets another.
    """

    name: str
    model_store: Path
    version: str = FIRST_VERSION
    image_size: int = 640
    engine: EngineName = "openvino"
    precision: Precision = "fp32"
    licence: str = "not stated"

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)*", self.version) or len(self.version) > MAX_NAME_LENGTH:
            raise OptionError(f"version {self.version!r}: numbers joined by dots were expected, such as 1.0")
        _check_image_size(self.image_size)
        for option, value, choices in (
            ("engine", self.engine, get_args(EngineName)),
            ("precision", self.precision, get_args(Precision)),
        ):
            if value not in choices:
                raise OptionError(f"{option} {value!r}: one of {', '.join(choices)} was expected")
        if self.precision != "fp32" and self.engine != "openvino":
            raise OptionError(f"engine {self.engine!r}: {self.precision} needs the engine openvino")
        if not self.licence.isprintable() or len(self.licence) > 200:
            raise OptionError("licence: one line of at most 200 characters was expected")

    @property
    def archive_path(self) -> Path:
        """Path of the archive: NAME.mar for version 1.0, NAME-VERSION.mar for other versions."""
        suffix = "" if self.version == FIRST_VERSION else f"-{self.version}"
        return self.model_store / f"{self.name}{suffix}.mar"


def default_model_store() -> Path:
    """The folder in the variable MODEL_STORE, else model_store/ of the repository."""
    return Path(os.environ.get("MODEL_STORE") or _REPOSITORY_STORE).resolve()


def archive_name(model: str, precision: Precision) -> str:
    """The default name of the archive of a model: yolov5s, yolov5s-int8."""
    return model if precision == "fp32" else f"{model}-{precision}"


def _check_name(name: str) -> None:
    # A leading dot makes a hidden file; a leading dash looks like an option.
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name) or len(name) > MAX_NAME_LENGTH:
        raise OptionError(
            f"name {name[:80]!r}: 1 to {MAX_NAME_LENGTH} letters, digits, '_', '.' or '-' were expected, "
            "the first a letter, a digit or '_'"
        )


def _check_image_size(size: int) -> None:
    smallest, largest = IMAGE_SIZE_RANGE
    if not smallest <= size <= largest or size % IMAGE_SIZE_STEP:
        nearest = min(max(round(size / IMAGE_SIZE_STEP) * IMAGE_SIZE_STEP, smallest), largest)
        raise OptionError(
            f"image size {size}: a multiple of {IMAGE_SIZE_STEP} in {smallest}..{largest} was expected, "
            f"such as {nearest}"
        )
