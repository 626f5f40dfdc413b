"""A picture's bytes as pixels to show: upright RGB of a wanted size, as the service saw them."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")  # those of the service
MAX_PIXELS = 64_000_000
READABLE = 1000  # pixels of the longer side, up to which a small picture is enlarged so that labels have room
ICON = 160  # pixels of the longer side, up to which each pixel is shown as a square


class InvalidPicture(Exception):
    """Bytes that cannot be shown as a picture."""


def open_picture(data: bytes, longest: int | None = None) -> tuple[Image.Image, tuple[int, int]]:
    """The picture, upright and RGB, and its own size (width, height).

    longest: the wanted longer side; larger pictures are scaled down to it. Small ones are enlarged by a whole factor in
    any case. Transparency is dropped and 16-bit samples keep their high byte, as in the service.
    Raises InvalidPicture.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF and of large pictures, which we count ourselves
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            if picture.width * picture.height > MAX_PIXELS:
                raise InvalidPicture(f"the picture has {picture.width} x {picture.height} pixels; 64 million may be")
            size_wh = picture.size
            if longest:
                # strategy: libjpeg decodes at 1/2, 1/4 or 1/8 of the size in a fraction of the time.
                picture.draft("RGB", _within(size_wh, longest))
            upright = _eight_bit(_upright(picture))
    except InvalidPicture:
        raise
    except Exception as error:  # Pillow's parsers let any exception escape on hostile bytes
        raise InvalidPicture(f"not a picture that can be shown: {type(error).__name__}: {error}"[:200]) from error
    if (upright.width > upright.height) != (picture.width > picture.height):
        size_wh = size_wh[::-1]
    return _scaled(upright, size_wh, longest), size_wh


def jpeg(picture: Image.Image) -> bytes:
    """The picture as a JPEG for the screen."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88, subsampling=0)
    return buffer.getvalue()


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()
    if picture.format == "TIFF":  # Pillow turns these upright itself
        return picture
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # damaged EXIF raises nearly anything in Pillow, and the picture is good without it
        return picture


def _eight_bit(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):
        grey = np.asarray(picture).astype(np.int64)
        wide = picture.mode != "I" or grey.max() > 255
        return Image.fromarray(np.clip(grey >> 8 if wide else grey, 0, 255).astype(np.uint8)).convert("RGB")
    return picture.convert("RGB")


def _scaled(picture: Image.Image, size_wh: tuple[int, int], longest: int | None) -> Image.Image:
    longer = max(size_wh)
    if longer * 2 <= READABLE:
        factor = READABLE // longer
        method = Image.Resampling.NEAREST if longer <= ICON else Image.Resampling.BICUBIC
        return picture.resize((size_wh[0] * factor, size_wh[1] * factor), method)
    if longest is None or longer <= longest:
        return picture
    return picture.resize(_within(size_wh, longest), Image.Resampling.HAMMING, reducing_gap=2.0)


def _within(size_wh: tuple[int, int], longest: int) -> tuple[int, int]:
    """The size scaled down until its longer side is `longest` at most."""
    share = min(1.0, longest / max(size_wh))
    return max(1, round(size_wh[0] * share)), max(1, round(size_wh[1] * share))
