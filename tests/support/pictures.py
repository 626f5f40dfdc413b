"""Pictures of the embedded model's generator, for tests without a data set."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from demo_model.generator import draw

TEST_SEED = 10_000_000  # from this seed on, no picture was used for training


def encoded(seed: int = 0, form: str = "JPEG", size_wh: tuple[int, int] | None = None) -> bytes:
    """An encoded picture of coloured shapes that was not used for training."""
    picture = Image.fromarray(draw(TEST_SEED + seed).image)
    if size_wh:
        picture = picture.resize(size_wh)
    buffer = io.BytesIO()
    picture.save(buffer, form, **({"quality": 95} if form in ("JPEG", "WEBP") else {}))
    return buffer.getvalue()


def crowded() -> bytes:
    """An encoded picture with at least four shapes that was not used for training."""
    return encoded(next(seed for seed in range(1000) if len(draw(TEST_SEED + seed).class_ids) >= 4))


def blank(size_wh: tuple[int, int]) -> bytes:
    """An encoded grey picture."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((size_wh[1], size_wh[0], 3), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
