"""Options from the text of forms and queries and from the values of JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from .errors import quoted
from .options import NAMES, OPTIONS, Option, Options

OPTION_OF_NAME: Mapping[str, Option] = {option.name: option for option in OPTIONS}
FLAGS = {"true": True, "1": True, "false": False, "0": False}
MAX_NAMES_SHOWN = 5


def parse_options(values: Mapping[str, object], defaults: Options, class_names: Sequence[str]) -> Options:
    """Options from what a client sent: strings and bytes of a form or query, or JSON values.

    Raises ValueError with the option's name, its value and the expected values.
    """
    parsed: dict[str, object] = {}
    for name, raw in values.items():
        if name not in OPTION_OF_NAME:
            raise ValueError(f"unknown option {quoted(name)}; the options are {', '.join(NAMES)}")
        option, value = OPTION_OF_NAME[name], _decode(name, raw)
        if option.kind == "classes":
            parsed[name] = _parse_classes(value, class_names)
        elif option.kind == "flag":
            parsed[name] = _parse_flag(name, value)
        else:
            parsed[name] = _parse_number(option, value)
    return replace(defaults, **parsed)  # type: ignore[arg-type]


def _decode(name: str, raw: object) -> object:
    if not isinstance(raw, (bytes, bytearray)):
        return raw
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"option {name} is not UTF-8 text") from None


def _parse_number(option: Option, value: object) -> float | int:
    assert option.bounds
    low, high = option.bounds
    whole = option.kind == "integer"
    number = _as_float(value)
    if number is None or not low <= number <= high or (whole and number != int(number)):
        expected = f"{'a whole number' if whole else 'a number'} from {low} to {high}"
        raise ValueError(f"option {option.name} is {quoted(value)}; expected {expected}")
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
    if isinstance(value, bool):
        return value
    key = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if key not in FLAGS:
        raise ValueError(f"option {name} is {quoted(value)}; expected true or false")
    return FLAGS[key]


def _parse_classes(value: object, class_names: Sequence[str]) -> tuple[int, ...]:
    items: Sequence[object]
    if isinstance(value, str):
        # The whole text is tried first, because a class name may contain a comma.
        items = [value] if value in class_names else [item.strip() for item in value.split(",")]
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
        f"option classes holds {quoted(item)}; expected names or ids 0 to {len(class_names) - 1} of this model's "
        f"classes ({_first_names(class_names)})"
    )


def _first_names(class_names: Sequence[str]) -> str:
    first = ", ".join(class_names[:MAX_NAMES_SHOWN])
    return first if len(class_names) <= MAX_NAMES_SHOWN else f"{first}, ... {len(class_names)} in all"
