"""Pictures for tests that need no data set: the embedded model's own."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from demo_model.generator import draw

TEST_SEED = 10_000_000  # from here on no picture was trained with


def encoded(seed: int = 0, form: str = "JPEG", size_wh: tuple[int, int] | None = None) -> bytes:
    """An unseen picture of coloured shapes as a file."""
    picture = Image.fromarray(draw(TEST_SEED + seed).image)
    if size_wh:
        picture = picture.resize(size_wh)
    buffer = io.BytesIO()
    picture.save(buffer, form, **({"quality": 95} if form in ("JPEG", "WEBP") else {}))
    return buffer.getvalue()


def crowded() -> bytes:
    """An unseen picture with at least four shapes."""
    return encoded(next(seed for seed in range(1000) if len(draw(TEST_SEED + seed).class_ids) >= 4))


def blank(size_wh: tuple[int, int]) -> bytes:
    """A grey picture of a size."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((size_wh[1], size_wh[0], 3), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
