"""Lists of images in JSON bodies."""

from __future__ import annotations

from ..errors import DetectionError, InvalidRequest, quoted
from ..options import Options
from ..records import Task
from .base64_image import decode_base64

MAX_IMAGES = 64


def parse_image_list(images: object, key: str, options: Options) -> tuple[Task | DetectionError, ...]:
    """A task per image of the list under `key`, or the error of a single image. Raises InvalidRequest for no list."""
    if not isinstance(images, list) or not 1 <= len(images) <= MAX_IMAGES:
        actual = f"a list of {len(images)}" if isinstance(images, list) else quoted(images)
        raise InvalidRequest(f"`{key}` is {actual}; expected a list of 1 to {MAX_IMAGES} pictures")
    entries: list[Task | DetectionError] = []
    for index, image in enumerate(images):
        try:
            entries.append(Task(decode_base64(_unwrap(image), f"{key}[{index}]"), options))
        except InvalidRequest as error:
            entries.append(error)
    return tuple(entries)


def _unwrap(item: object) -> object:
    """The base64 text of `{"image": {"b64": text}}`, `{"image": text}`, `{"b64": text}` or the text itself."""
    for key in ("image", "b64"):
        if isinstance(item, dict) and list(item) == [key]:
            item = item[key]
    return item
