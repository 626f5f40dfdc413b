"""A picture to show that a model detects."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SHAPES_SEED = 20_000_000  # far from the seeds that the model was trained with


def sample_for(model: str, folder: Path) -> Path:
    """A sample picture for `model`: the photo of ultralytics' wheel, or for `shapes` one of its generator's.

    The generator's goes into `folder`, and so does a generated one where ultralytics is not installed.
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
