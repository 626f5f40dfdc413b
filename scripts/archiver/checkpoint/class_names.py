"""Class names out of a checkpoint: untrusted text that will stand in pages, logs and JSON."""

import unicodedata
from collections.abc import Mapping

from ..errors import CheckpointError

MAX_CLASSES = 10_000
MAX_NAME_LENGTH = 200


def read_class_names(names: object, count: int) -> tuple[str, ...]:
    """The names of `count` classes in order, from the list or the dict of a checkpoint.

    Control and formatting characters are dropped; a class whose name is empty after that is called by its number.
    """
    if count > MAX_CLASSES:
        raise CheckpointError(f"it has {count} classes, and {MAX_CLASSES} are allowed")
    if names is None:
        return tuple(f"class{index}" for index in range(count))
    given = _in_order(names)
    if len(given) != count:
        raise CheckpointError(f"it has {len(given)} class names for the {count} classes of its head")
    return tuple(_clean(name, index) for index, name in enumerate(given))


def _in_order(names: object) -> list[object]:
    if isinstance(names, list | tuple):
        return list(names)
    if isinstance(names, Mapping):
        missing = [index for index in range(len(names)) if index not in names]
        if missing:
            raise CheckpointError(f"its {len(names)} class names should be numbered from 0; {missing[0]} is missing")
        return [names[index] for index in range(len(names))]
    raise CheckpointError(f"its class names should be a list or a dict, and are a {type(names).__name__}")


def _clean(name: object, index: int) -> str:
    if not isinstance(name, str):
        raise CheckpointError(f"the name of its class {index} should be text, and is a {type(name).__name__}")
    if len(name) > MAX_NAME_LENGTH:
        raise CheckpointError(
            f"the name of its class {index} has {len(name)} characters; {MAX_NAME_LENGTH} are allowed"
        )
    # Category C: control, format (bidirectional overrides, zero width), surrogate, private and unassigned characters.
    visible = "".join(letter for letter in name if unicodedata.category(letter)[0] != "C").strip()
    return visible or f"class{index}"
