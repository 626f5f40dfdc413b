"""Picture bytes to RGB pixels, or an error that says what is wrong with them."""

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
MAX_SCANS = 100  # progressive encoders write about ten
ORIENTATION, TILE_WIDTH, TILE_LENGTH = 0x0112, 0x0142, 0x0143  # tags of EXIF and TIFF

# First bytes of the formats above: tells a damaged picture from something that is none.
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"BM", b"GIF8")

# A JPEG's marker; in a scan, 0xFF is followed by 0x00 or a restart marker.
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def decode_image(data: bytes | bytearray, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Pixels (H, W, 3) RGB uint8 of a picture's first frame, turned upright as its EXIF says.

    Transparency is dropped, 16-bit samples keep their high byte. Raises InvalidImage, UnsupportedImage or
    ImageTooLarge; the last before anything is decoded.
    """
    if not data:
        raise InvalidImage("the image is empty: 0 bytes")
    with _open(data) as picture:
        width, height = picture.size
        if width * height > max_pixels:
            raise ImageTooLarge(f"the image has {width} x {height} pixels; at most {max_pixels:,} are accepted")
        if _tile_pixels(picture) > max_pixels:
            raise ImageTooLarge(f"the image's tiles have {_tile_pixels(picture):,} pixels; at most {max_pixels:,} may")
        orientation = _orientation(picture)
        pixels = _decode_jpeg(data, picture) if picture.format in ("JPEG", "MPO") else _decode_pillow(picture)
    if pixels.shape != (height, width, 3):
        raise InvalidImage(f"the image declares {width} x {height} pixels and holds {pixels.shape[1::-1]}")
    return _upright(pixels, orientation)


def _open(data: bytes | bytearray) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise ImageTooLarge(f"the image has over {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels") from None
    except UnidentifiedImageError:
        pass
    except Exception as error:  # Pillow's parsers let any exception escape on hostile bytes
        raise InvalidImage(f"the image's header is damaged: {_named(error)}") from error
    start = bytes(data[:12])
    if start.startswith(SIGNATURES):
        raise InvalidImage(f"the image's header is damaged: {len(data):,} bytes, starting {start!r}")
    raise UnsupportedImage(
        f"not a picture of a known format: {len(data):,} bytes, starting {start!r}; "
        f"expected one of {', '.join(FORMATS)}"
    )


def _tile_pixels(picture: Image.Image) -> int:
    """Pixels of one tile of a tiled TIFF, which may exceed the picture and are decoded all the same, else 0."""
    if not isinstance(picture, TiffImageFile):
        return 0
    sides = [picture.tag_v2.get(tag, 0) for tag in (TILE_WIDTH, TILE_LENGTH)]
    return int(sides[0] * sides[1]) if all(isinstance(side, int) for side in sides) else 0


def _orientation(picture: Image.Image) -> int:
    if picture.format == "TIFF":  # Pillow turns these upright itself
        return 1
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF raises nearly anything in Pillow, and the picture is good without it
        return 1


def _decode_jpeg(data: bytes | bytearray, picture: Image.Image) -> Pixels:
    # strategy: libjpeg-turbo's own interface gives the same pixels as Pillow in a third of the time. It fills a file
    # that was cut off with grey, so the end is looked for first, and what it does not know is left to Pillow.
    _require_sound_jpeg(data)
    if picture.mode not in ("RGB", "L"):
        return _decode_pillow(picture)
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, "RGB", strict=False), np.uint8)
    except ValueError:
        return _decode_pillow(picture)


def _require_sound_jpeg(data: bytes | bytearray) -> None:
    """Refuse a JPEG that was cut off, and one of so many scans that it would take minutes: each is a full pass."""
    position, scans, first_scan = 2, 0, len(data)
    while scans <= MAX_SCANS and (marker := MARKER.search(data, position)):
        position, code = marker.end(), data[marker.end() - 1]
        if code == 0xD9:
            break
        if code == 0xDA:
            scans, first_scan = scans + 1, min(first_scan, position)
        if code not in (0x01, 0xD8):  # all but these carry their length
            position += int.from_bytes(data[position : position + 2], "big")
    if scans > MAX_SCANS:
        raise InvalidImage(f"the JPEG has more than {MAX_SCANS} scans; no camera and no encoder writes so many")
    # A thumbnail's own end marker, before the first scan, does not count.
    if data.rfind(b"\xff\xd9", first_scan) < 0:
        raise InvalidImage(f"the JPEG is cut off: its end marker is missing after {len(data):,} bytes")


def _decode_pillow(picture: Image.Image) -> Pixels:
    try:
        if picture.mode == "F":
            raise UnsupportedImage("the image has floating-point samples; expected 8 or 16 bits per sample")
        if picture.mode.startswith("I"):
            grey = np.asarray(picture).astype(np.int64)
            eight_bit = np.clip(grey >> 8, 0, 255) if picture.mode != "I" or grey.max() > 255 else np.clip(grey, 0, 255)
            return np.repeat(eight_bit.astype(np.uint8)[:, :, None], 3, axis=2)
        return np.asarray(picture.convert("RGB"), np.uint8)
    except UnsupportedImage:
        raise
    except Image.DecompressionBombError:
        raise ImageTooLarge("the image unpacks to more pixels than its header declares") from None
    except Exception as error:  # Pillow's decoders let any exception escape on hostile bytes
        raise InvalidImage(f"the {picture.format} image is damaged: {_named(error)}") from error


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo the camera's orientation, EXIF values 1 to 8; others count as upright."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
