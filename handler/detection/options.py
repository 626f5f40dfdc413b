"""The options of a detection: their defaults, their ranges, and how text and JSON become them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

SHOWN = 60  # characters of a wrong value that an error repeats


@dataclass(frozen=True)
class Options:
    """What a request may choose.

    `confidence` and `iou` are 0..1; a detection is kept if its confidence > `confidence`, and suppressed if
    its IoU with a better one > `iou`. `classes` are ids, None for all. `image_size` is the longer side in
    pixels that the network sees.
    """

    confidence: float = 0.25
    iou: float = 0.45
    classes: tuple[int, ...] | None = None
    max_detections: int = 1000
    agnostic: bool = False
    multi_label: bool = False
    image_size: int = 640


NAMES = tuple(field.name for field in fields(Options))
RANGES: Mapping[str, tuple[int, int]] = {
    "confidence": (0, 1),
    "iou": (0, 1),
    "max_detections": (1, 1000),
    "image_size": (32, 1280),
}


def parse_options(values: Mapping[str, object], defaults: Options, class_names: Sequence[str]) -> Options:
    """Options from what a client sent: strings and bytes of a form or query, or JSON values.

    Raises ValueError that names the option, its value and what was expected.
    """
    parsed: dict[str, object] = {}
    for name, raw in values.items():
        if name not in NAMES:
            raise ValueError(f"unknown option {shown(name)}; the options are {', '.join(NAMES)}")
        value = _text(name, raw)
        if name == "classes":
            parsed[name] = _parse_classes(value, class_names)
        elif name in ("agnostic", "multi_label"):
            parsed[name] = _parse_flag(name, value)
        else:
            parsed[name] = _parse_number(name, value)
    return replace(defaults, **parsed)  # type: ignore[arg-type]


def shown(value: object) -> str:
    """`value` as an error message repeats it: quoted, escaped, and cut when long."""
    text = repr(value) if isinstance(value, (str, int, float, bool, type(None))) else type(value).__name__
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text)} characters)"


def _text(name: str, raw: object) -> object:
    if not isinstance(raw, (bytes, bytearray)):
        return raw
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"option {name} is not UTF-8 text") from None


def _parse_number(name: str, value: object) -> float | int:
    low, high = RANGES[name]
    whole = name in ("max_detections", "image_size")
    expected = f"{'a whole number' if whole else 'a number'} from {low} to {high}"
    number = _as_float(value)
    if number is None or not low <= number <= high or (whole and number != int(number)):
        raise ValueError(f"option {name} is {shown(value)}; expected {expected}")
    return int(number) if whole else number


def _as_float(value: object) -> float | None:
    """The finite number that `value` is or spells, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _parse_flag(name: str, value: object) -> bool:
    flags = {"true": True, "1": True, "false": False, "0": False}
    if isinstance(value, bool):
        return value
    key = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if key not in flags:
        raise ValueError(f"option {name} is {shown(value)}; expected true or false")
    return flags[key]


def _parse_classes(value: object, class_names: Sequence[str]) -> tuple[int, ...]:
    if isinstance(value, str):
        # A class name may hold a comma itself, so the whole text is tried first.
        items: Sequence[object] = [value] if value in class_names else [item.strip() for item in value.split(",")]
    elif isinstance(value, list):
        items = value
    else:
        items = [value]
    if not items:
        raise ValueError("option classes is empty; leave it out to get all classes")
    return tuple(sorted({_class_id(item, class_names) for item in items}))


def _class_id(item: object, class_names: Sequence[str]) -> int:
    if isinstance(item, str) and item in class_names:
        return class_names.index(item)
    number = _as_float(item)
    if number is not None and number == int(number) and 0 <= number < len(class_names):
        return int(number)
    raise ValueError(
        f"option classes holds {shown(item)}; expected names or ids 0 to {len(class_names) - 1} of this model's "
        f"classes ({_some(class_names)})"
    )


def _some(class_names: Sequence[str]) -> str:
    first = ", ".join(class_names[:5])
    return first if len(class_names) <= 5 else f"{first}, ... {len(class_names)} in all"
