"""Drawing detections into their picture."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from results.decode import open_picture
from results.lettering import Colour, Lettering
from results.placement import place
from service.answers import Detection

GOLDEN_RATIO = 0.618034  # of the colour wheel from one class id to the next, which keeps neighbouring ids far apart
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
MAX_LABELS = 200  # more would hide the picture; further detections get a box only


def colour_of(class_id: int) -> Colour:
    """The colour (R, G, B) of a class, the same in every picture."""
    red, green, blue = colorsys.hsv_to_rgb((class_id * GOLDEN_RATIO) % 1.0, 0.75, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def text_colour_on(colour: Colour) -> Colour:
    """Black or white, whichever has the higher contrast to `colour`; it is at least 4.5 to 1."""
    luminance = _luminance(colour)
    return BLACK if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else WHITE


def draw(image: bytes, detections: Sequence[Detection], max_side: int | None = None, banner: str = "") -> Image.Image:
    """The picture, upright and RGB, with a box and a label for each detection; the most confident on top.

    max_side: larger pictures are scaled down until their longer side has this many pixels; small ones are enlarged, so
    that labels can be read. banner: a text across the bottom. Raises InvalidPicture.
    """
    picture, size_wh = open_picture(image, max_side)
    return draw_onto(picture, size_wh, detections, banner)


def draw_onto(
    picture: Image.Image, size_wh: tuple[int, int], detections: Sequence[Detection], banner: str = ""
) -> Image.Image:
    """As `draw`, into a copy of an opened picture. size_wh: its original size, which the boxes are in."""
    picture = picture.copy()
    canvas = ImageDraw.Draw(picture)
    line_width = max(2, round(max(picture.size) / 360))
    lettering = Lettering(max(11, round(max(picture.size) / 40)))
    boxes = _scaled_boxes(detections, picture.size, size_wh)
    for box, detection in reversed(list(zip(boxes.tolist(), detections, strict=True))):
        _draw_box(canvas, box, colour_of(detection.class_id), line_width)
    _draw_labels(canvas, picture.size, boxes[:MAX_LABELS], detections[:MAX_LABELS], lettering)
    if banner:
        _draw_banner(canvas, picture.size, banner, lettering)
    return picture


def _scaled_boxes(
    detections: Sequence[Detection], to_wh: tuple[int, int], from_wh: tuple[int, int]
) -> NDArray[np.float64]:
    """Boxes (N, 4) xyxy in pixels of a picture of size `to_wh`; the detections' are in pixels of `from_wh`."""
    boxes = np.array([detection.xyxy for detection in detections], np.float64).reshape(-1, 4)
    boxes *= np.tile([to_wh[0] / from_wh[0], to_wh[1] / from_wh[1]], 2)
    return boxes


def _draw_box(canvas: ImageDraw.ImageDraw, box: list[float], colour: Colour, line_width: int) -> None:
    """A box's sides, with a black line around them that makes them visible on a background of their own colour."""
    x_min, y_min, x_max, y_max = box
    x_max, y_max = max(x_min, x_max), max(y_min, y_max)
    canvas.rectangle((x_min - 1, y_min - 1, x_max + 1, y_max + 1), outline=BLACK, width=1)
    canvas.rectangle((x_min, y_min, x_max, y_max), outline=colour, width=line_width)


def _draw_labels(
    canvas: ImageDraw.ImageDraw,
    size_wh: tuple[int, int],
    boxes: NDArray[np.float64],
    detections: Sequence[Detection],
    lettering: Lettering,
) -> None:
    """A label at each box. The most confident detections get their places first and are drawn last."""
    pad = max(2, lettering.size // 4)
    texts = [
        lettering.fitted(detection.class_name, size_wh[0] - 2 * pad, end=f" {detection.confidence:.2f}")
        for detection in detections
    ]
    sizes = [(min(size_wh[0], lettering.width(text) + 2 * pad), lettering.height) for text in texts]
    corners = place(boxes, sizes, size_wh)
    for text, (width, height), (x, y), detection in reversed(list(zip(texts, sizes, corners, detections, strict=True))):
        colour = colour_of(detection.class_id)
        canvas.rectangle((x, y, x + width - 1, y + height - 1), fill=colour)
        lettering.write(canvas, (x + pad, y), text, text_colour_on(colour))


def _draw_banner(canvas: ImageDraw.ImageDraw, size_wh: tuple[int, int], text: str, lettering: Lettering) -> None:
    """A band with a text across the bottom."""
    canvas.rectangle((0, size_wh[1] - lettering.height - 6, *size_wh), fill=(255, 196, 0))
    text = lettering.fitted(text, size_wh[0] - 8)
    x = (size_wh[0] - lettering.width(text)) / 2
    lettering.write(canvas, (x, size_wh[1] - lettering.height - 3), text, BLACK)


def _luminance(colour: Colour) -> float:
    """Relative luminance by the definition of WCAG, 0 to 1."""
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (channel / 255 for channel in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
