"""Decodes an image of any accepted format into RGB pixels."""

from __future__ import annotations

import io
import re

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from .errors import ImageTooLarge, InvalidImage, UnsupportedImage

Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
MAX_PIXELS = 64_000_000
MAX_SCANS = 100  # of a progressive JPEG; encoders write about ten
ORIENTATION, TILE_WIDTH, TILE_LENGTH = 0x0112, 0x0142, 0x0143  # EXIF and TIFF tags

# The first bytes of these formats distinguish a damaged image from data that is no image.
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM", b"GIF8")

# A JPEG marker. Within a scan, 0xFF is followed by 0x00 or is part of a restart marker.
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def decode_image(data: bytes | bytearray, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Pixels (H, W, 3) RGB uint8 of an image's first frame, rotated as its EXIF orientation says.

    Transparency is dropped; of 16-bit samples the high byte is kept. Raises InvalidImage or UnsupportedImage, and
    before decoding ImageTooLarge.
    """
    if not data:
        raise InvalidImage("the image is empty: 0 bytes")
    with _open(data) as opened:
        width, height = opened.size
        if width * height > max_pixels:
            raise ImageTooLarge(f"the image has {width} x {height} pixels; at most {max_pixels:,} are accepted")
        if _tile_pixels(opened) > max_pixels:
            raise ImageTooLarge(
                f"the image's tiles have {_tile_pixels(opened):,} pixels; at most {max_pixels:,} are accepted"
            )
        orientation = _orientation(opened)
        pixels = _decode_jpeg(data, opened) if opened.format in ("JPEG", "MPO") else _decode_pillow(opened)
    if pixels.shape != (height, width, 3):
        raise InvalidImage(f"the image declares {width} x {height} pixels and holds {pixels.shape[1::-1]}")
    return _rotate(pixels, orientation)


def _open(data: bytes | bytearray) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise ImageTooLarge(f"the image has over {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels") from None
    except UnidentifiedImageError:
        pass
    except Exception as error:  # Pillow's parsers raise nearly any exception on malformed bytes
        raise InvalidImage(f"the image's header is damaged: {_summary(error)}") from error
    start = bytes(data[:12])
    if start.startswith(SIGNATURES):
        raise InvalidImage(f"the image's header is damaged: {len(data):,} bytes, starting {start!r}")
    raise UnsupportedImage(
        f"not a picture of a known format: {len(data):,} bytes, starting {start!r}; "
        f"expected one of {', '.join(FORMATS)}"
    )


def _tile_pixels(image: Image.Image) -> int:
    """The pixels of one tile of a tiled TIFF, else 0. A tile is decoded whole, and may be larger than the image."""
    if not isinstance(image, TiffImageFile):
        return 0
    sides = [image.tag_v2.get(tag, 0) for tag in (TILE_WIDTH, TILE_LENGTH)]
    return int(sides[0] * sides[1]) if all(isinstance(side, int) for side in sides) else 0


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":  # Pillow rotates these itself
        return 1
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow raises nearly any exception on damaged EXIF; the image can be decoded without it
        return 1


def _decode_jpeg(data: bytes | bytearray, image: Image.Image) -> Pixels:
    # strategy: libjpeg-turbo's own interface gives the same pixels as Pillow in a third of the time. It fills the
    # missing rest of a truncated file with grey, so the end marker is checked first. Pillow decodes the kinds of JPEG
    # that libjpeg-turbo does not support.
    _check_jpeg(data)
    if image.mode not in ("RGB", "L"):
        return _decode_pillow(image)
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, "RGB", strict=False), np.uint8)
    except ValueError:
        return _decode_pillow(image)


def _check_jpeg(data: bytes | bytearray) -> None:
    """Reject a truncated JPEG, and one with so many scans that decoding takes minutes: each scan is a full pass."""
    position, scans, first_scan = 2, 0, len(data)
    while scans <= MAX_SCANS and (marker := MARKER.search(data, position)):
        position, code = marker.end(), data[marker.end() - 1]
        if code == 0xD9:
            break
        if code == 0xDA:
            scans, first_scan = scans + 1, min(first_scan, position)
        if code not in (0x01, 0xD8):  # every other marker is followed by its length
            position += int.from_bytes(data[position : position + 2], "big")
    if scans > MAX_SCANS:
        raise InvalidImage(f"the JPEG has more than {MAX_SCANS} scans; encoders write about ten")
    # The end marker of a thumbnail stands before the first scan and does not count.
    if data.rfind(b"\xff\xd9", first_scan) < 0:
        raise InvalidImage(f"the JPEG is cut off: its end marker is missing after {len(data):,} bytes")


def _decode_pillow(image: Image.Image) -> Pixels:
    try:
        if image.mode == "F":
            raise UnsupportedImage("the image has floating-point samples; expected 8 or 16 bits per sample")
        if image.mode.startswith("I"):
            grey = np.asarray(image).astype(np.int64)
            eight_bit = np.clip(grey >> 8, 0, 255) if image.mode != "I" or grey.max() > 255 else np.clip(grey, 0, 255)
            return np.repeat(eight_bit.astype(np.uint8)[:, :, None], 3, axis=2)
        return np.asarray(image.convert("RGB"), np.uint8)
    except UnsupportedImage:
        raise
    except Image.DecompressionBombError:
        raise ImageTooLarge("the image unpacks to more pixels than its header declares") from None
    except Exception as error:  # Pillow's decoders raise nearly any exception on malformed bytes
        raise InvalidImage(f"the {image.format} image is damaged: {_summary(error)}") from error


def _rotate(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels rotated or mirrored as EXIF orientation 1 to 8 says; other values change nothing."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _summary(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
