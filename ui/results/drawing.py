"""Detections drawn into their picture."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from results.decode import open_picture
from results.lettering import Colour, Lettering
from results.placement import place
from service.client import Detection

GOLDEN_RATIO = 0.618034  # steps of it around the colour wheel keep neighbouring ids far apart
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
MOST_LABELS = 200  # more would hide the picture; the rest have their boxes only


def colour_of(class_id: int) -> Colour:
    """The colour (R, G, B) of a class, the same in every picture."""
    red, green, blue = colorsys.hsv_to_rgb((class_id * GOLDEN_RATIO) % 1.0, 0.75, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def text_colour_on(colour: Colour) -> Colour:
    """Black or white, whichever is read better on `colour`; its contrast is 4.5 to 1 or more on any."""
    luminance = _luminance(colour)
    return BLACK if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else WHITE


def draw(image: bytes, detections: Sequence[Detection], longest: int | None = None, mark: str = "") -> Image.Image:
    """The picture, upright and RGB, with a box and a label for each detection; the most confident on top.

    longest: the longer side of the result, in pixels, for pictures that are larger; small ones are enlarged so that
    labels can be read. mark: a text across the bottom, for a picture that is not what it seems. Raises InvalidPicture.
    """
    picture, size_wh = open_picture(image, longest)
    return draw_onto(picture, size_wh, detections, mark)


def draw_onto(
    picture: Image.Image, size_wh: tuple[int, int], detections: Sequence[Detection], mark: str = ""
) -> Image.Image:
    """As `draw`, onto a copy of an opened picture whose own size, which boxes are in, is `size_wh`."""
    picture = picture.copy()
    canvas = ImageDraw.Draw(picture)
    line = max(2, round(max(picture.size) / 360))
    lettering = Lettering(max(11, round(max(picture.size) / 40)))
    boxes = _scaled_boxes(detections, picture.size, size_wh)
    for box, detection in reversed(list(zip(boxes.tolist(), detections, strict=True))):
        _outline(canvas, box, colour_of(detection.class_id), line)
    _label(canvas, picture.size, boxes[:MOST_LABELS], detections[:MOST_LABELS], lettering)
    if mark:
        _mark(canvas, picture.size, mark, lettering)
    return picture


def _scaled_boxes(
    detections: Sequence[Detection], to_wh: tuple[int, int], from_wh: tuple[int, int]
) -> NDArray[np.float64]:
    """Boxes (N, 4) xyxy in the drawn picture's pixels."""
    boxes = np.array([detection.xyxy for detection in detections], np.float64).reshape(-1, 4)
    boxes *= np.tile([to_wh[0] / from_wh[0], to_wh[1] / from_wh[1]], 2)
    return boxes


def _outline(canvas: ImageDraw.ImageDraw, box: list[float], colour: Colour, line: int) -> None:
    """A box's sides, with a dark hairline around them that shows them on a background of their own colour."""
    x_min, y_min, x_max, y_max = box
    x_max, y_max = max(x_min, x_max), max(y_min, y_max)
    canvas.rectangle((x_min - 1, y_min - 1, x_max + 1, y_max + 1), outline=BLACK, width=1)
    canvas.rectangle((x_min, y_min, x_max, y_max), outline=colour, width=line)


def _label(
    canvas: ImageDraw.ImageDraw,
    size_wh: tuple[int, int],
    boxes: NDArray[np.float64],
    detections: Sequence[Detection],
    lettering: Lettering,
) -> None:
    """A label at each box; the most confident choose their places first and are written last."""
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


def _mark(canvas: ImageDraw.ImageDraw, size_wh: tuple[int, int], text: str, lettering: Lettering) -> None:
    """A band across the bottom with a text in it."""
    canvas.rectangle((0, size_wh[1] - lettering.height - 6, *size_wh), fill=(255, 196, 0))
    text = lettering.fitted(text, size_wh[0] - 8)
    x = (size_wh[0] - lettering.width(text)) / 2
    lettering.write(canvas, (x, size_wh[1] - lettering.height - 3), text, BLACK)


def _luminance(colour: Colour) -> float:
    """Relative luminance as WCAG defines it, 0 to 1."""
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (channel / 255 for channel in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
