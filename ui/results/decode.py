"""Decoding a picture to show it: upright RGB at a wanted size, with the pixels that the service sees."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")  # the same as the service's
MAX_PIXELS = 64_000_000
MAX_ENLARGED_SIDE = 1000  # pixels of the longer side; small pictures are enlarged up to this, to make room for labels
MAX_ICON_SIDE = 160  # pixels of the longer side; up to this each pixel is enlarged to a square


class InvalidPicture(Exception):
    """The bytes are not a picture that can be shown."""


def open_picture(data: bytes, max_side: int | None = None) -> tuple[Image.Image, tuple[int, int]]:
    """The picture, upright and RGB, and its original size (width, height), upright too.

    max_side: larger pictures are scaled down until their longer side has this many pixels. Small ones are enlarged by a
    whole factor in any case. Transparency is dropped and 16-bit samples keep their high byte, as in the service.
    Raises InvalidPicture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged EXIF and large pictures, which are checked below
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            if picture.width * picture.height > MAX_PIXELS:
                raise InvalidPicture(
                    f"the picture has {picture.width} x {picture.height} pixels; expected at most 64 million"
                )
            size_wh = picture.size
            if max_side:
                # strategy: libjpeg decodes at 1/2, 1/4 or 1/8 of the size in a fraction of the time.
                picture.draft("RGB", _within(size_wh, max_side))
            upright = _eight_bit(_upright(picture))
    except InvalidPicture:
        raise
    except Exception as error:  # Pillow's parsers let any exception escape on hostile bytes
        raise InvalidPicture(f"not a picture that can be shown: {type(error).__name__}: {error}"[:200]) from error
    if (upright.width > upright.height) != (picture.width > picture.height):
        size_wh = size_wh[::-1]
    return _scaled(upright, size_wh, max_side), size_wh


def jpeg(picture: Image.Image) -> bytes:
    """The picture as a JPEG for the screen."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88, subsampling=0)
    return buffer.getvalue()


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()
    if picture.format == "TIFF":  # Pillow applies the orientation itself
        return picture
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # damaged EXIF raises nearly any error in Pillow, and the picture is usable without it
        return picture


def _eight_bit(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        grey = np.asarray(picture).astype(np.int64)
        wide = picture.mode != "I" or grey.max() > 255
        return Image.fromarray(np.clip(grey >> 8 if wide else grey, 0, 255).astype(np.uint8)).convert("RGB")
    return picture.convert("RGB")


def _scaled(picture: Image.Image, size_wh: tuple[int, int], max_side: int | None) -> Image.Image:
    longer = max(size_wh)
    if longer * 2 <= MAX_ENLARGED_SIDE:
        factor = MAX_ENLARGED_SIDE // longer
        method = Image.Resampling.NEAREST if longer <= MAX_ICON_SIDE else Image.Resampling.BICUBIC
        return picture.resize((size_wh[0] * factor, size_wh[1] * factor), method)
    if max_side is None or longer <= max_side:
        return picture
    return picture.resize(_within(size_wh, max_side), Image.Resampling.HAMMING, reducing_gap=2.0)


def _within(size_wh: tuple[int, int], max_side: int) -> tuple[int, int]:
    """The size, scaled down until its longer side is `max_side` at most."""
    scale = min(1.0, max_side / max(size_wh))
    return max(1, round(size_wh[0] * scale)), max(1, round(size_wh[1] * scale))
