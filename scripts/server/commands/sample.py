"""A sample picture that shows that a model detects."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SHAPES_SEED = 20_000_000  # far from the seeds of the training pictures


def sample_picture(model: str, folder: Path) -> Path:
    """The path of a sample picture for `model`: the photo in ultralytics' wheel, or a drawn one for `shapes`.

    The drawn picture is written into `folder`. It also serves other models if ultralytics is not installed.
    """
    package = importlib.util.find_spec("ultralytics")
    if not model.startswith("shapes") and package is not None:
        for location in package.submodule_search_locations or ():
            photo = Path(location) / "assets" / "bus.jpg"
            if photo.is_file():
                return photo
    return _draw(folder / "sample.png")


def _draw(path: Path) -> Path:
    from PIL import Image

    from demo_model.generator import draw

    Image.fromarray(draw(SHAPES_SEED).image).save(path)
    return path
