from __future__ import annotations

import io
from itertools import pairwise

import pytest
from PIL import Image

from client import Detection
from drawing import colour_of, draw


def picture(size_wh: tuple[int, int], orientation: int | None = None) -> bytes:
    buffer = io.BytesIO()
    image = Image.new("RGB", size_wh, "black")
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    image.save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def detection(xyxy: tuple[float, float, float, float], class_id: int = 0, name: str = "person") -> Detection:
    return Detection(xyxy, class_id, name, 0.5)


def test_nothing_found_leaves_the_picture_as_it_is() -> None:
    drawn = draw(picture((64, 48)), [])
    assert drawn.size == (64, 48)
    assert drawn.getextrema() == ((0, 0), (0, 0), (0, 0))


def test_a_box_stands_where_it_was_found_in_its_class_s_colour() -> None:
    drawn = draw(picture((640, 480)), [detection((100, 200, 300, 400), class_id=5)])
    for point in [(100, 300), (300, 300), (200, 400)]:
        assert drawn.getpixel(point) == colour_of(5)
    assert drawn.getpixel((200, 300)) == (0, 0, 0)


@pytest.mark.parametrize(
    "xyxy", [(0, 0, 20, 20), (600, 0, 640, 10), (630, 470, 640, 480), (0, 0, 640, 480), (0, 240, 1, 241)]
)
def test_a_label_stays_inside_the_picture(xyxy: tuple[float, float, float, float]) -> None:
    plain = draw(picture((640, 480)), [detection(xyxy, name="x")])
    wide = draw(picture((640, 480)), [detection(xyxy, name="a rather long class name")])

    def filled(image: Image.Image) -> int:
        return sum(pixel == colour_of(0) for pixel in image.get_flattened_data())

    assert filled(wide) > filled(plain) + 500  # all of the longer label is seen


def test_a_picture_is_drawn_upright_as_the_service_saw_it() -> None:
    assert draw(picture((64, 48), orientation=6), []).size == (48, 64)


def test_a_class_keeps_its_colour_and_neighbours_differ() -> None:
    colours = [colour_of(class_id) for class_id in range(20)]
    assert colours == [colour_of(class_id) for class_id in range(20)]
    for first, second in pairwise(colours):
        assert sum(abs(a - b) for a, b in zip(first, second, strict=True)) > 90
