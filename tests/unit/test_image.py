"""decode_image against Pillow, the slow and obvious decoder."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from detection.image import ORIENTATION, decode_image
from support.hostile_pictures import noise, saved

Pixels = NDArray[np.uint8]

# Pillow warns about some of these images; the tests check what decode_image returns.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def decode_slowly(data: bytes) -> Pixels:
    picture: Image.Image = Image.open(io.BytesIO(data))
    return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


def same(first: Pixels, second: Pixels) -> bool:
    return first.shape == second.shape and bool((first == second).all())


def test_one_black_pixel() -> None:
    pixels = decode_image(saved(Image.new("RGB", (1, 1)), "PNG"))
    assert pixels.tolist() == [[[0, 0, 0]]]
    assert pixels.dtype == np.uint8


def test_rows_come_first_and_red_before_blue() -> None:
    picture = Image.new("RGB", (3, 2))
    picture.putpixel((2, 1), (255, 128, 7))
    pixels = decode_image(saved(picture, "PNG"))
    assert pixels.shape == (2, 3, 3)
    assert pixels[1, 2].tolist() == [255, 128, 7]


@pytest.mark.parametrize(
    ("form", "mode", "arguments"),
    [
        ("JPEG", "RGB", {}),
        ("JPEG", "L", {}),
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "RGB", {"subsampling": "4:2:0", "quality": 30}),
        ("JPEG", "RGB", {"keep_rgb": True}),
        ("JPEG", "RGB", {"restart_marker_blocks": 1}),
        ("JPEG", "CMYK", {}),
        ("JPEG", "YCbCr", {}),
        ("MPO", "RGB", {"save_all": True, "append_images": [noise(seed=1)]}),
        ("PNG", "RGB", {}),
        ("PNG", "1", {}),
        ("PNG", "L", {}),
        ("PNG", "LA", {}),
        ("PNG", "P", {}),
        ("PNG", "P", {"transparency": 3}),
        ("PNG", "RGBA", {}),
        ("PNG", "RGB", {"save_all": True, "append_images": [noise(seed=1)]}),
        ("WEBP", "RGB", {}),
        ("WEBP", "RGBA", {"lossless": True}),
        ("WEBP", "RGB", {"save_all": True, "append_images": [noise(seed=1)]}),
        ("TIFF", "RGB", {}),
        ("TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("TIFF", "RGB", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", "RGB", {"compression": "jpeg"}),
        ("TIFF", "RGB", {"save_all": True, "append_images": [noise((7, 9))]}),
        ("TIFF", "1", {"compression": "group4"}),
        ("TIFF", "CMYK", {}),
        ("TIFF", "LAB", {}),
        ("BMP", "RGB", {}),
        ("BMP", "1", {}),
        ("BMP", "P", {}),
        ("GIF", "P", {}),
        ("GIF", "P", {"save_all": True, "append_images": [noise(seed=1)]}),
    ],
)
def test_pixels_are_those_of_pillow(form: str, mode: str, arguments: dict[str, Any]) -> None:
    picture = Image.merge("LAB", noise().split()) if mode == "LAB" else noise().convert("RGBA").convert(mode)
    data = saved(picture, form, **arguments)
    assert same(decode_image(data), decode_slowly(data))


@pytest.mark.parametrize("form", ["JPEG", "MPO", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_corrected(form: str, orientation: int) -> None:
    data = saved(noise(), form, orientation)
    assert same(decode_image(data), decode_slowly(data))
    assert decode_image(data).shape == ((40, 24, 3) if orientation in (5, 6, 7, 8) else (24, 40, 3))


def test_an_unreadable_orientation_is_ignored() -> None:
    data = saved(noise(), "JPEG", 6)
    tag = data.index(struct.pack(">H", ORIENTATION)) if data[data.index(b"Exif\0\0") + 6] == 0x4D else -1
    tag = tag if tag >= 0 else data.index(struct.pack("<H", ORIENTATION))
    broken = data[: tag + 2] + b"\xff\xff" + data[tag + 4 :]
    assert same(decode_image(broken), decode_image(saved(noise(), "JPEG")))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_of_sixteen_bits_the_high_byte_is_kept(form: str) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (24, 40)).astype(np.uint16)
    pixels = decode_image(saved(Image.fromarray(deep), form))
    assert same(pixels, np.repeat((deep >> 8).astype(np.uint8)[:, :, None], 3, axis=2))


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 4000), (4000, 1), (17, 31)])
def test_any_aspect_ratio_is_decoded(size_wh: tuple[int, int]) -> None:
    for form in ("JPEG", "PNG"):
        data = saved(noise(size_wh), form)
        assert same(decode_image(data), decode_slowly(data))


def test_bytes_after_the_end_are_ignored() -> None:
    for form in ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF"):
        data = saved(noise(), form)
        assert same(decode_image(data + b"a trailer \xff\xda\xff\xd8"), decode_image(data)), form
        assert same(decode_image(bytearray(data)), decode_image(data)), form
