"""The options of a detection. Each option's default, range and help stand here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Kind = Literal["number", "integer", "flag", "classes"]


@dataclass(frozen=True)
class Option:
    """One option of a request. bounds: the least and the greatest value of a number, both allowed."""

    name: str
    kind: Kind
    default: float | bool | None
    bounds: tuple[int, int] | None
    help: str


def _option(kind: Kind, default: float | bool | None, help: str, bounds: tuple[int, int] | None = None) -> Any:
    return field(default=default, metadata={"kind": kind, "bounds": bounds, "help": help})


@dataclass(frozen=True)
class Options:
    """The options of one detection. `classes` are ids, None for all classes."""

    confidence: float = _option("number", 0.25, "keep detections whose confidence is greater", (0, 1))
    iou: float = _option("number", 0.45, "drop the less confident of two boxes whose IoU is greater", (0, 1))
    classes: tuple[int, ...] | None = _option(
        "classes", None, "detect only these classes: names or ids, separated by commas"
    )
    max_detections: int = _option("integer", 1000, "keep at most so many detections of an image", (1, 1000))
    agnostic: bool = _option("flag", False, "suppress boxes of different classes too")
    multi_label: bool = _option("flag", False, "report every class of a box, not only the best")
    image_size: int = _option("integer", 640, "longer side of the letterboxed image in pixels", (32, 1280))


OPTIONS = tuple(
    Option(name=entry.name, default=getattr(Options(), entry.name), **entry.metadata) for entry in fields(Options)
)
NAMES = tuple(option.name for option in OPTIONS)
BOUNDS: Mapping[str, tuple[int, int]] = {option.name: option.bounds for option in OPTIONS if option.bounds}
