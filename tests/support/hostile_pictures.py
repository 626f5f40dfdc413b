"""Unusual image files: noise, damaged files, and small files that declare a huge size, written byte by byte."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image


def noise(size_wh: tuple[int, int] = (40, 24), seed: int = 0) -> Image.Image:
    """An image of random pixels."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size_wh[1], size_wh[0], 3), dtype=np.uint8))


def saved(picture: Image.Image, form: str = "JPEG", orientation: int | None = None, **arguments: Any) -> bytes:
    """An image as a file, with `orientation` in its EXIF."""
    if orientation is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        arguments["exif"] = exif
    buffer = io.BytesIO()
    picture.save(buffer, form, **arguments)
    return buffer.getvalue()


def png(size_wh: tuple[int, int], depth: int = 8, colour: int = 2, packed: bytes = b"", before: bytes = b"") -> bytes:
    """A PNG of a declared size with `packed` as its compressed data and chunks `before` that."""
    header = struct.pack(">IIBBBBB", *size_wh, depth, colour, 0, 0, 0)
    parts = [png_chunk(b"IHDR", header), before, png_chunk(b"IDAT", packed), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def deep_png(size_wh: tuple[int, int]) -> bytes:
    """A valid RGB image with 16 bits per sample, all of them 0x1234."""
    row = b"\0" + b"\x12\x34" * 3 * size_wh[0]
    return png(size_wh, depth=16, packed=zlib.compress(row * size_wh[1]))


def text_bomb() -> bytes:
    """A PNG chunk whose text decompresses to two megabytes."""
    return png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b" " * 2_000_000))


def png_bomb(side: int = 20_000) -> bytes:
    """A complete black image of side x side pixels in about 50 kB, with one bit per pixel."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (side + 7) // 8)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return png((side, side), depth=1, colour=0, packed=packed)


def gif(size_wh: tuple[int, int], frame_wh: tuple[int, int] | None = None) -> bytes:
    """A GIF of a declared size whose only frame has another size."""
    screen = b"GIF89a" + struct.pack("<HHBBB", *size_wh, 0x80, 0, 0) + bytes(6)
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, *(frame_wh or size_wh), 0)
    return screen + frame + b"\x02\x02\x44\x01\x00;"


def bmp(size_wh: tuple[int, int], bits: int = 24, compression: int = 0, data: bytes = b"") -> bytes:
    palette = bytes(1024) if bits <= 8 else b""
    start = 54 + len(palette)
    file_header = b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start)
    header = struct.pack("<IiiHHIIiiII", 40, *size_wh, 1, bits, compression, len(data), 0, 0, len(palette) // 4, 0)
    return file_header + header + palette + data


def tiff(size_wh: tuple[int, int], *more: tuple[int, int], compression: int = 1, data: bytes = b"") -> bytes:
    """A grey TIFF of a declared size in one strip, with `more` tags and their whole numbers."""
    width, height = size_wh
    entries = [(256, width), (257, height), (258, 8), (259, compression), (262, 1), (277, 1), *more]
    if not any(tag in (322, 324) for tag, _ in more):
        entries += [(278, height), (279, len(data)), (273, 8 + 2 + 12 * (len(entries) + 3) + 4)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4) + data


def tiled_tiff(size_wh: tuple[int, int], tile_wh: tuple[int, int]) -> bytes:
    """A TIFF whose only tile has another size than the image."""
    return tiff(size_wh, (322, tile_wh[0]), (323, tile_wh[1]), (324, 8), (325, 100), compression=5)


def webp(size_wh: tuple[int, int]) -> bytes:
    """The extended header of a WebP without image data."""
    width, height = (side - 1 for side in size_wh)
    chunk = bytes(4) + width.to_bytes(3, "little") + height.to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", len(chunk)) + chunk
    return b"RIFF" + struct.pack("<I", len(body)) + body


def jpeg(size_wh: tuple[int, int], components: int = 3) -> bytes:
    """The frame header of a JPEG, a scan without data, and the end."""
    parts = bytes(value for number in range(components) for value in (number + 1, 0x11, 0))
    frame = struct.pack(">BHHB", 8, size_wh[1], size_wh[0], components) + parts
    start = (
        bytes([components]) + bytes(value for number in range(components) for value in (number + 1, 0)) + b"\0\x3f\0"
    )
    segments = [(0xDB, b"\0" + b"\x10" * 64), (0xC0, frame), (0xDA, start)]
    written = (struct.pack(">BBH", 0xFF, code, len(content) + 2) + content for code, content in segments)
    return b"\xff\xd8" + b"".join(written) + b"\xff\xd9"
