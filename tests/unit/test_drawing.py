from __future__ import annotations

import io
from collections.abc import Callable
from itertools import combinations, pairwise

import numpy as np
import pytest
from PIL import Image

from results.decode import InvalidPicture, open_picture
from results.drawing import colour_of, draw, text_colour_on
from results.lettering import Lettering, printable, runs
from results.placement import place
from service.answers import Detection
from support.detections import Box, detection


def picture(size_wh: tuple[int, int], orientation: int | None = None, form: str = "PNG", mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    image = Image.new(mode, size_wh)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    image.save(buffer, form, exif=exif)
    return buffer.getvalue()


def share_of(image: Image.Image, colour: tuple[int, int, int]) -> float:
    return float(np.all(np.asarray(image) == colour, axis=2).mean())


def test_without_detections_the_picture_is_unchanged() -> None:
    drawn = draw(picture((640, 480)), [])
    assert drawn.size == (640, 480)
    assert drawn.getextrema() == ((0, 0), (0, 0), (0, 0))


def test_a_box_is_drawn_at_its_place_in_its_class_s_colour() -> None:
    drawn = draw(picture((640, 480)), [detection((100, 200, 300, 400), class_id=5)])
    for point in [(100, 300), (300, 300), (200, 400)]:
        assert drawn.getpixel(point) == colour_of(5)
    assert drawn.getpixel((200, 300)) == (0, 0, 0)


def test_a_box_is_visible_on_a_background_of_its_own_colour() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (1200, 800), colour_of(3)).save(buffer, "PNG")
    drawn = draw(buffer.getvalue(), [detection((100, 200, 300, 400), class_id=3, name="")])
    assert drawn.getpixel((200, 401)) == (0, 0, 0)


@pytest.mark.parametrize(
    "xyxy", [(0, 0, 20, 20), (600, 0, 640, 10), (630, 470, 640, 480), (0, 0, 640, 480), (0, 240, 1, 241)]
)
def test_a_label_stays_inside_the_picture(xyxy: Box) -> None:
    plain = draw(picture((640, 480)), [detection(xyxy, name="x")])
    wide = draw(picture((640, 480)), [detection(xyxy, name="a rather long class name")])
    assert share_of(wide, colour_of(0)) > share_of(plain, colour_of(0)) + 500 / 640 / 480


def test_a_label_longer_than_the_picture_is_shortened_and_keeps_its_confidence() -> None:
    lettering = Lettering(16)
    text = lettering.fitted("word " * 100, 200, end=" 0.87")
    assert lettering.width(text) <= 200
    assert text.endswith("… 0.87")


def test_labels_of_neighbours_do_not_hide_each_other() -> None:
    boxes = np.array([[100 + 3 * step, 100 + 2 * step, 300, 300] for step in range(8)], float)
    sizes = [(90, 20)] * len(boxes)
    corners = place(boxes, sizes, (640, 480))
    spread = [(x, y, x + 90, y + 20) for x, y in corners]
    for first, second in combinations(spread, 2):
        apart = first[2] <= second[0] or second[2] <= first[0] or first[3] <= second[1] or second[3] <= first[1]
        assert apart, (first, second)


@pytest.mark.parametrize("seed", range(5))
def test_any_label_is_placed_inside_the_picture(seed: int) -> None:
    generator = np.random.default_rng(seed)
    corner = generator.uniform(-20, 640, (60, 2))
    boxes = np.concatenate([corner, corner + generator.uniform(0, 200, (60, 2))], axis=1)
    for x, y in place(boxes, [(120, 24)] * 60, (640, 480)):
        assert 0 <= x <= 640 - 120
        assert 0 <= y <= 480 - 24


@pytest.mark.parametrize(
    ("name", "fonts"),
    [
        ("person", 1),
        ("кошка", 1),
        ("détecté", 1),
        ("数据", 1),
        ("قطة كبيرة", 1),
        ("हिन्दी", 1),
        ("한국어", 1),
        ("😀 face", 2),
    ],
)
def test_a_name_of_any_script_is_drawn_with_a_font_that_has_it(name: str, fonts: int) -> None:
    assert printable(name) == name
    found = [index for index, run in runs(name) if run.strip()]
    assert len(set(found)) == fonts
    drawn = draw(picture((640, 480)), [detection((100, 200, 400, 400), name=name)])
    assert share_of(drawn, text_colour_on(colour_of(0))) > 0.5


def test_two_names_of_one_script_look_different() -> None:
    first, second = (draw(picture((640, 480)), [detection((9, 90, 300, 300), name=name)]) for name in ("猫犬", "鸟鱼"))
    assert np.any(np.asarray(first) != np.asarray(second))


def test_a_character_that_no_font_has_is_drawn_as_its_code() -> None:
    assert printable("a\U00010cc0") == "a[U+10CC0]"
    assert printable("line\nbreak\x07\u202e") == "line break"


def test_a_picture_is_drawn_upright() -> None:
    assert draw(picture((640, 480), orientation=6), []).size == (480, 640)


def test_an_icon_is_enlarged_by_a_whole_factor_with_sharp_pixels() -> None:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    drawn = draw(buffer.getvalue(), [])
    assert drawn.size == (960, 960)
    assert np.array_equal(np.asarray(drawn)[7::15, 7::15], pixels)
    boxed = draw(buffer.getvalue(), [detection((8, 16, 32, 48), class_id=2, name="icon")])
    assert boxed.getpixel((8 * 15, 32 * 15)) == colour_of(2)
    assert share_of(boxed, colour_of(2)) > 0.005


def test_a_large_photo_is_drawn_at_the_size_of_the_screen() -> None:
    drawn = draw(picture((3840, 2160), form="JPEG"), [detection((384, 216, 1920, 1080), class_id=4)], max_side=1440)
    assert drawn.size == (1440, 810)
    assert drawn.getpixel((144, 300)) == colour_of(4)
    assert draw(picture((3840, 2160), form="JPEG"), []).size == (3840, 2160)


@pytest.mark.parametrize(
    ("form", "mode"),
    [("JPEG", "CMYK"), ("PNG", "I;16"), ("TIFF", "I;16"), ("PNG", "RGBA"), ("PNG", "P"), ("WEBP", "RGBA"),
     ("TIFF", "RGB"), ("JPEG", "L")],
)  # fmt: skip
def test_pictures_of_all_formats_are_decoded_to_rgb(form: str, mode: str) -> None:
    opened, size_wh = open_picture(picture((1200, 700), form=form, mode=mode), max_side=600)
    assert (opened.mode, opened.size, size_wh) == ("RGB", (600, 350), (1200, 700))


def test_sixteen_bits_keep_their_high_byte() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((700, 1200), 0x80FF, np.uint16)).save(buffer, "PNG")
    opened, _ = open_picture(buffer.getvalue())
    assert opened.getpixel((3, 3)) == (0x80, 0x80, 0x80)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_upright_picture(orientation: int) -> None:
    opened, size_wh = open_picture(picture((1200, 700), orientation, "JPEG"), max_side=600)
    turned = orientation >= 5
    assert size_wh == ((700, 1200) if turned else (1200, 700))
    assert opened.size == ((350, 600) if turned else (600, 350))


@pytest.mark.parametrize("data", [b"", b"not a picture", picture((640, 480))[:100], picture((9000, 9000), mode="1")])
def test_other_bytes_and_too_large_pictures_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidPicture):
        open_picture(data)


def test_a_class_keeps_its_colour_and_neighbours_differ() -> None:
    colours = [colour_of(class_id) for class_id in range(20)]
    assert colours == [colour_of(class_id) for class_id in range(20)]
    for first, second in pairwise(colours):
        assert sum(abs(a - b) for a, b in zip(first, second, strict=True)) > 90


def test_text_on_any_class_s_colour_has_enough_contrast() -> None:
    def luminance(colour: tuple[int, int, int]) -> float:
        def linear(channel: int) -> float:
            share = channel / 255
            return float(share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4)

        red, green, blue = map(linear, colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    for class_id in range(1000):
        bright, dark = sorted(map(luminance, (colour_of(class_id), text_colour_on(colour_of(class_id)))), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5


def test_a_banner_is_drawn() -> None:
    drawn: Callable[[str], Image.Image] = lambda banner: draw(picture((640, 480)), [], banner=banner)  # noqa: E731
    assert share_of(drawn("Simulated"), (255, 196, 0)) > 0.02
    assert share_of(drawn(""), (255, 196, 0)) == 0


def test_a_thousand_detections_are_drawn() -> None:
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 500, (1000, 2))
    many = [
        Detection((float(x), float(y), float(x) + 40, float(y) + 30), index % 80, f"class {index}", 0.5)
        for index, (x, y) in enumerate(corners)
    ]
    assert draw(picture((640, 480)), many).size == (640, 480)
