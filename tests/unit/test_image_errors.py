"""The images that decode_image rejects, and its messages."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from detection.errors import DetectionError, ImageTooLarge, InvalidImage, UnsupportedImage
from detection.image import MAX_SCANS, decode_image
from support import hostile_pictures
from support.hostile_pictures import noise, saved

Pixels = NDArray[np.uint8]

# Pillow warns about some of these images; the tests check the errors of decode_image.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def same(first: Pixels, second: Pixels) -> bool:
    return first.shape == second.shape and bool((first == second).all())


def outcome(data: bytes) -> Pixels | DetectionError:
    try:
        return decode_image(data)
    except DetectionError as error:
        return error


def other_format(form: str) -> bytes:
    return saved(noise((64, 64)), form)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", InvalidImage, "0 bytes"),
        (b"x", UnsupportedImage, "1 bytes, starting b'x'"),
        (b"hello, world", UnsupportedImage, "not a picture"),
        (bytes(100), UnsupportedImage, "not a picture"),
        (b"%PDF-1.7\n", UnsupportedImage, "not a picture"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', UnsupportedImage, "not a picture"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), UnsupportedImage, "not a picture"),
        (other_format("AVIF"), UnsupportedImage, "not a picture"),
        (other_format("JPEG2000"), UnsupportedImage, "not a picture"),
        (other_format("ICO"), UnsupportedImage, "not a picture"),
        (saved(noise().convert("F"), "TIFF"), UnsupportedImage, "floating-point"),
        (b"\xff\xd8\xff", InvalidImage, "header is damaged"),
        (b"\xff\xd8\xff\xd9", InvalidImage, "damaged"),
        (b"\x89PNG\r\n\x1a\n", InvalidImage, "header is damaged"),
        (b"GIF89a", InvalidImage, "header is damaged"),
        (b"RIFF\0\0\0\0WEBPVP8 ", InvalidImage, "header is damaged"),
        (b"II*\0\x08\0\0\0", InvalidImage, "header is damaged"),
        (b"BM", InvalidImage, "header is damaged"),
    ],
)
def test_other_data_is_rejected(data: bytes, error: type[DetectionError], message: str) -> None:
    with pytest.raises(DetectionError) as caught:
        decode_image(data)
    assert type(caught.value) is error
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        hostile_pictures.png((8001, 8000)),
        hostile_pictures.png((2**31 - 1, 2**31 - 1)),
        hostile_pictures.png_bomb(),
        hostile_pictures.jpeg((65_000, 65_000)),
        hostile_pictures.jpeg((8001, 8000), components=1),
        hostile_pictures.gif((65_535, 65_535)),
        hostile_pictures.gif((1, 1), frame_wh=(65_535, 65_535)),
        hostile_pictures.bmp((30_000, 30_000)),
        hostile_pictures.bmp((8001, -8000)),
        hostile_pictures.tiff((100_000, 100_000)),
        hostile_pictures.tiled_tiff((16, 16), tile_wh=(46_336, 46_336)),
        hostile_pictures.webp((16_383, 16_383)),
    ],
)
def test_too_many_pixels_in_the_header_are_rejected(data: bytes) -> None:
    assert len(data) < 60_000
    with pytest.raises(ImageTooLarge):
        decode_image(data)


def test_the_limit_on_pixels_is_inclusive() -> None:
    data = saved(noise((20, 10)), "PNG")
    assert decode_image(data, max_pixels=200).shape == (10, 20, 3)
    with pytest.raises(ImageTooLarge, match="20 x 10 pixels; at most 199"):
        decode_image(data, max_pixels=199)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "CMYK", "progressive", "turned"])
def test_a_truncated_picture_is_rejected_wherever_it_ends(form: str) -> None:
    special: dict[str, bytes] = {
        "CMYK": saved(noise().convert("CMYK")),
        "progressive": saved(noise(), progressive=True),
        "turned": saved(noise(), "PNG", 6),
    }
    data = special.get(form) or saved(noise(), form)
    whole = decode_image(data)
    for length in {*range(0, len(data), 7), *range(max(0, len(data) - 40), len(data))}:
        result = outcome(data[:length])
        if isinstance(result, DetectionError):
            # Fewer than 4 bytes do not identify a format.
            assert isinstance(result, InvalidImage) or length < 4, length
        else:  # only bytes without pixels are missing, such as a PNG's last chunk
            assert length > len(data) - 30, length
            assert same(result, whole), length


def with_thumbnail() -> tuple[bytes, int]:
    """A JPEG whose EXIF contains a JPEG as thumbnail, and the position of the thumbnail's end."""
    thumbnail = saved(noise((16, 16), seed=1))
    data = saved(noise())
    content = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + thumbnail
    segment = b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    return data[:2] + segment + data[2:], 2 + len(segment)


def test_the_end_marker_of_a_thumbnail_does_not_count() -> None:
    data, end = with_thumbnail()
    assert same(decode_image(data), decode_image(saved(noise())))
    for length in (end, end + 1, end + 30, (end + len(data)) // 2, len(data) - 1):
        with pytest.raises(InvalidImage):
            decode_image(data[:length])


def with_scans(count: int) -> bytes:
    """A progressive JPEG with repeated copies of its last scan, each with a comment that looks like the end marker."""
    data = saved(noise(), progressive=True)
    last = data.rindex(b"\xff\xda")
    scans = data.count(b"\xff\xda")
    again = (data[last:-2] + b"\xff\xfe\0\x04\xff\xd9") * (count - scans)
    return data[:-2] + again + data[-2:]


def test_too_many_scans_are_rejected() -> None:
    assert decode_image(with_scans(MAX_SCANS)).shape == (24, 40, 3)
    with pytest.raises(InvalidImage, match="more than 100 scans"):
        decode_image(with_scans(MAX_SCANS + 1))
