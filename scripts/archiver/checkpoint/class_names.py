"""Class names of a checkpoint: untrusted text that is later shown in pages, logs and JSON."""

import unicodedata
from collections.abc import Mapping

from ..errors import CheckpointError

MAX_CLASSES = 10_000
MAX_NAME_LENGTH = 200


def read_class_names(names: object, count: int) -> tuple[str, ...]:
    """The names of `count` classes in order, from the list or the dict of a checkpoint.

    Control and formatting characters are removed. A class whose name is then empty gets the name "class" and its ID.
    """
    if count > MAX_CLASSES:
        raise CheckpointError(f"it has {count} classes; at most {MAX_CLASSES} are allowed")
    if names is None:
        return tuple(f"class{class_id}" for class_id in range(count))
    ordered = _in_order(names)
    if len(ordered) != count:
        raise CheckpointError(f"it has {len(ordered)} class names for the {count} classes of its head")
    return tuple(_clean(name, class_id) for class_id, name in enumerate(ordered))


def _in_order(names: object) -> list[object]:
    if isinstance(names, list | tuple):
        return list(names)
    if isinstance(names, Mapping):
        missing = [index for index in range(len(names)) if index not in names]
        if missing:
            raise CheckpointError(f"its {len(names)} class names should be numbered from 0; {missing[0]} is missing")
        return [names[index] for index in range(len(names))]
    raise CheckpointError(f"its class names should be a list or a dict, and are a {type(names).__name__}")


def _clean(name: object, class_id: int) -> str:
    if not isinstance(name, str):
        raise CheckpointError(f"the name of its class {class_id} should be text, and is a {type(name).__name__}")
    if len(name) > MAX_NAME_LENGTH:
        raise CheckpointError(
            f"the name of its class {class_id} has {len(name)} characters; at most {MAX_NAME_LENGTH} are allowed"
        )
    # Unicode category C: control, format (bidirectional overrides, zero width), surrogate, private and unassigned.
    visible = "".join(letter for letter in name if unicodedata.category(letter)[0] != "C").strip()
    return visible or f"class{class_id}"
