"""Detections drawn into their picture."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

from client import Detection

GOLDEN_RATIO = 0.618034  # steps of it around the colour wheel keep neighbouring ids far apart


def colour_of(class_id: int) -> tuple[int, int, int]:
    """The colour (R, G, B) of a class, the same in every picture."""
    red, green, blue = colorsys.hsv_to_rgb((class_id * GOLDEN_RATIO) % 1.0, 0.75, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw(image: bytes, detections: Sequence[Detection]) -> Image.Image:
    """The picture, upright and RGB, with a box and a label for each detection; the most confident on top."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(image))).convert("RGB")
    canvas = ImageDraw.Draw(picture)
    shorter = min(picture.size)
    line = max(1, round(shorter / 300))
    font = ImageFont.load_default(size=max(8, round(shorter / 45)))
    for detection in reversed(detections):
        canvas.rectangle(detection.xyxy, outline=colour_of(detection.class_id), width=line)
    for detection in reversed(detections):
        _label(canvas, picture.size, detection, font, line)
    return picture


def _label(
    canvas: ImageDraw.ImageDraw,
    size_wh: tuple[int, int],
    detection: Detection,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    line: int,
) -> None:
    """A label above the box, or inside it where there is no room above; never outside the picture."""
    text = f"{detection.class_name} {detection.confidence:.2f}"
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    width, height = right - left + 2 * line, bottom - top + 2 * line
    x = max(0, min(detection.xyxy[0], size_wh[0] - width))
    y = detection.xyxy[1] - height
    if y < 0:
        y = max(0, min(detection.xyxy[1], size_wh[1] - height))
    colour = colour_of(detection.class_id)
    canvas.rectangle((x, y, x + width, y + height), fill=colour)
    luminance = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    canvas.text((x + line - left, y + line - top), text, font=font, fill="black" if luminance > 140 else "white")
