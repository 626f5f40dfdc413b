"""What an archive may be asked to be."""

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


@dataclass(frozen=True)
class ArchiveOptions:
    """Everything that shapes an archive besides the checkpoint. OptionError says what is wrong with a value.

    image_size: longer side in pixels that the handler letterboxes to unless a request says otherwise.
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
        for label, value, known in (
            ("engine", self.engine, get_args(EngineName)),
            ("precision", self.precision, get_args(Precision)),
        ):
            if value not in known:
                raise OptionError(f"{label} {value!r}: one of {', '.join(known)} was expected")
        if self.precision != "fp32" and self.engine != "openvino":
            raise OptionError(f"engine {self.engine!r}: {self.precision} runs on the engine openvino only")
        if not self.licence.isprintable() or len(self.licence) > 200:
            raise OptionError("licence: one line of at most 200 characters was expected")

    @property
    def archive_path(self) -> Path:
        """Where the finished archive lies: NAME.mar, and for any version but the first NAME-VERSION.mar beside it."""
        suffix = "" if self.version == FIRST_VERSION else f"-{self.version}"
        return self.model_store / f"{self.name}{suffix}.mar"


def _check_name(name: str) -> None:
    # A leading dot or dash would make a hidden file or look like an option.
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name) or len(name) > MAX_NAME_LENGTH:
        raise OptionError(
            f"name {name[:80]!r}: 1 to {MAX_NAME_LENGTH} letters, digits, '_', '.' or '-' were expected, "
            "the first a letter, a digit or '_'"
        )


def _check_image_size(size: int) -> None:
    least, most = IMAGE_SIZE_RANGE
    if not least <= size <= most or size % IMAGE_SIZE_STEP:
        nearest = min(max(round(size / IMAGE_SIZE_STEP) * IMAGE_SIZE_STEP, least), most)
        raise OptionError(
            f"image size {size}: a multiple of {IMAGE_SIZE_STEP} in {least}..{most} was expected, such as {nearest}"
        )
