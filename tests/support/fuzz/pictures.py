"""Pictures for the fuzz test: valid ones of every kind, invalid ones, and functions that damage them."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from PIL import Image

from support import hostile_pictures
from support.hostile_pictures import noise, saved

SIXTEEN_BIT_PIXELS = np.arange(24 * 40, dtype=np.uint16).reshape(24, 40) * 60


def two_more_frames() -> dict[str, Any]:
    """Arguments of Pillow's save that add two frames."""
    return {"save_all": True, "append_images": [noise(seed=1), noise(seed=2)]}


def valid() -> dict[str, bytes]:
    """Pictures by description that the service must read."""
    grey, alpha = noise().convert("L"), noise().convert("RGBA")
    return {
        "JPEG": saved(noise()),
        "JPEG grey": saved(grey),
        "JPEG progressive": saved(noise(), progressive=True),
        "JPEG CMYK": saved(noise().convert("CMYK")),
        "JPEG turned": saved(noise(), orientation=6),
        "JPEG of 1 x 1": saved(noise((1, 1))),
        "JPEG of 1 x 4000": saved(noise((1, 4000))),
        "JPEG of 4000 x 1": saved(noise((4000, 1))),
        "JPEG with a trailer": saved(noise()) + b"\xff\xda trailer" * 9,
        "JPEG without data": hostile_pictures.jpeg((64, 64)),
        "MPO": saved(noise(), "MPO", **two_more_frames()),
        "PNG": saved(noise(), "PNG"),
        "PNG of 1 bit": saved(noise().convert("1"), "PNG"),
        "PNG palette": saved(noise().convert("P"), "PNG"),
        "PNG LA": saved(alpha.convert("LA"), "PNG"),
        "PNG RGBA": saved(alpha, "PNG"),
        "PNG grey of 16 bits": saved(Image.fromarray(SIXTEEN_BIT_PIXELS), "PNG"),
        "PNG RGB of 16 bits": hostile_pictures.deep_png((8, 6)),
        "PNG animated": saved(noise(), "PNG", **two_more_frames()),
        "PNG of 1 x 1": saved(noise((1, 1)), "PNG"),
        "WebP": saved(noise(), "WEBP"),
        "WebP lossless with alpha": saved(alpha, "WEBP", lossless=True),
        "WebP animated": saved(noise(), "WEBP", **two_more_frames()),
        "TIFF": saved(noise(), "TIFF"),
        "TIFF LZW turned": saved(noise(), "TIFF", 5, compression="tiff_lzw"),
        "TIFF of JPEG": saved(noise(), "TIFF", compression="jpeg"),
        "TIFF fax": saved(noise().convert("1"), "TIFF", compression="group4"),
        "TIFF of 16 bits": saved(Image.fromarray(SIXTEEN_BIT_PIXELS), "TIFF"),
        "TIFF of 3 pages": saved(noise(), "TIFF", **two_more_frames()),
        "BMP": saved(noise(), "BMP"),
        "BMP palette": saved(noise().convert("P"), "BMP"),
        "GIF": saved(noise(), "GIF"),
        "GIF animated": saved(noise(), "GIF", **two_more_frames()),
    }


def invalid() -> dict[str, tuple[bytes, int]]:
    """Pictures by description that the service must reject, each with the expected status."""
    many_scans = saved(noise(), progressive=True)
    many_scans = many_scans[:-2] + many_scans[many_scans.rindex(b"\xff\xda") : -2] * 5000 + b"\xff\xd9"
    return {
        "PNG bomb of 20000 x 20000": (hostile_pictures.png_bomb(), 413),
        "PNG claiming 2^31": (hostile_pictures.png((2**31 - 1, 2**31 - 1)), 413),
        "PNG claiming 8001 x 8000": (hostile_pictures.png((8001, 8000)), 413),
        "JPEG claiming 65000 x 65000": (hostile_pictures.jpeg((65_000, 65_000)), 413),
        "GIF claiming 65535 x 65535": (hostile_pictures.gif((65_535, 65_535)), 413),
        "GIF with a giant frame": (hostile_pictures.gif((1, 1), (65_535, 65_535)), 413),
        "BMP claiming 30000 x 30000": (hostile_pictures.bmp((30_000, 30_000)), 413),
        "TIFF claiming 100000 x 100000": (hostile_pictures.tiff((100_000, 100_000)), 413),
        "TIFF with a giant tile": (hostile_pictures.tiled_tiff((16, 16), (46_336, 46_336)), 413),
        "WebP claiming 16383 x 16383": (hostile_pictures.webp((16_383, 16_383)), 413),
        "JPEG of 5000 scans": (many_scans, 422),
        "PNG without data": (hostile_pictures.png((64, 64)), 422),
        "PNG of a megabyte of text": (hostile_pictures.png((8, 8), before=hostile_pictures.text_bomb()), 422),
        "BMP without data": (hostile_pictures.bmp((64, 64)), 422),
        "BMP of empty runs": (hostile_pictures.bmp((64, 64), bits=8, compression=1, data=bytes(200)), 422),
        "TIFF without data": (hostile_pictures.tiff((64, 64)), 422),
        "TIFF of floats": (saved(noise().convert("F"), "TIFF"), 415),
        "AVIF": (saved(noise((64, 64)), "AVIF"), 415),
        "JPEG 2000": (saved(noise((64, 64)), "JPEG2000"), 415),
        "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415),
        "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), 415),
        "nothing": (b"", 422),
        "zeros": (bytes(5000), 415),
    }


def expensive() -> dict[str, bytes]:
    """Pictures by description just below the limit on pixels: small files that take hundreds of megabytes to decode."""
    size = (7999, 8000)
    return {
        "PNG of 64 megapixels": hostile_pictures.png_bomb(8000),
        "JPEG of 64 megapixels without data": hostile_pictures.jpeg(size),
        "PNG claiming 64 megapixels": hostile_pictures.png(size),
        "GIF claiming 64 megapixels": hostile_pictures.gif(size),
        "BMP claiming 64 megapixels": hostile_pictures.bmp(size),
        "TIFF claiming 64 megapixels": hostile_pictures.tiff(size),
    }


def truncated(random: Random, data: bytes) -> bytes:
    """The beginning of a file, cut anywhere, shortly before its end, or within its first bytes."""
    latest = random.choice([len(data), len(data), 64])
    length = random.randrange(max(1, latest)) if random.random() < 0.8 else len(data) - random.randrange(1, 12)
    return data[: max(0, length)]


def damaged(random: Random, data: bytes) -> bytes:
    """A file with bits flipped, and bytes replaced, removed or inserted; mostly in its header."""
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 5, 20])):
        position = random.randrange(min(len(changed), random.choice([32, 200, 10**6]))) if changed else 0
        kind = random.randrange(5)
        if kind == 0:
            changed[position : position + 1] = bytes([changed[position] ^ 1 << random.randrange(8)] if changed else [])
        elif kind == 1:
            changed[position : position + 4] = random.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\xff\xd9"])
        elif kind == 2:
            del changed[position : position + random.randrange(1, 30)]
        elif kind == 3:
            changed[position:position] = random.randbytes(random.randrange(1, 30))
        else:
            changed[position : position + 2] = random.randbytes(2)
    return bytes(changed)
