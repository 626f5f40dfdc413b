"""Text of any script set into a picture, in the Noto fonts that the page is installed with.

A character that no font has is written as its code, `[U+10CC0]`: an empty box would hide which one it is.
"""

from __future__ import annotations

import functools
import importlib.util
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from fontTools.ttLib import TTFont
from PIL import ImageDraw, ImageFont

Colour = tuple[int, int, int]

PACKAGES = ("manimgx_fonts", "manimgx_fonts_cjk")
FIRST, LAST = "NotoSans[wght].ttf", ("NotoSansSymbols[wght].ttf", "NotoEmoji[wght].ttf")
WEIGHT = 600
ELLIPSIS = "…"
BINDERS = "\u200c\u200d\ufe0e\ufe0f"  # joiners and variation selectors: of the character before them


@dataclass(frozen=True)
class Lettering:
    """Text of one size in pixels. Lines are `height` pixels high, whatever is in them."""

    size: int

    @property
    def ascent(self) -> int:
        """From a line's top to its base line, in pixels; room for accents included."""
        return round(1.07 * self.size)

    @property
    def height(self) -> int:
        """Height of a line in pixels."""
        return round(1.36 * self.size)

    def width(self, text: str) -> int:
        """Width of a text in pixels."""
        return round(sum(font.getlength(run) for font, run in self._runs(text)))

    def fitted(self, text: str, width: int, end: str = "") -> str:
        """The text with `end` behind it, shortened until it is at most `width` pixels wide."""
        text = printable(text)
        if self.width(text + end) <= width:
            return text + end
        shortest, longest = 0, len(text)
        while shortest < longest:
            middle = (shortest + longest + 1) // 2
            if self.width(text[:middle] + ELLIPSIS + end) <= width:
                shortest = middle
            else:
                longest = middle - 1
        return text[:shortest].rstrip() + ELLIPSIS + end

    def write(
        self, canvas: ImageDraw.ImageDraw, xy: tuple[float, float], text: str, fill: tuple[int, int, int]
    ) -> None:
        """Write the text with its upper left corner at `xy`."""
        x, y = xy
        for font, run in self._runs(text):
            canvas.text((x, y + self.ascent), run, font=font, fill=fill, anchor="ls")
            x += font.getlength(run)

    def _runs(self, text: str) -> list[tuple[ImageFont.FreeTypeFont, str]]:
        return [(_font(index, self.size), run) for index, run in runs(printable(text))]


def printable(text: str) -> str:
    """The text on one line, without control characters, with codes for what no font has."""
    return "".join(_printable(character) for character in unicodedata.normalize("NFC", text))


@functools.lru_cache(maxsize=4096)
def _printable(character: str) -> str:
    if character in BINDERS:
        return character
    if character.isspace():
        return " "
    if unicodedata.category(character) in ("Cc", "Cf"):
        return ""
    if _index(ord(character)) is None:
        return f"[U+{ord(character):04X}]"
    return character


@functools.lru_cache(maxsize=4096)
def runs(text: str) -> tuple[tuple[int, str], ...]:
    """Stretches of printable text that one font can set, as (index in `faces()`, stretch).

    Spaces, marks and joiners stay with what stands before them.
    """
    found: list[tuple[int, str]] = []
    for character in text:
        code = ord(character)
        follows = character in BINDERS or character == " " or unicodedata.combining(character)
        if found and (follows or (code in _characters(found[-1][0]) and not character.isascii())):
            found[-1] = (found[-1][0], found[-1][1] + character)
            continue
        index = _index(code) or 0
        if found and found[-1][0] == index:
            found[-1] = (index, found[-1][1] + character)
        else:
            found.append((index, character))
    return tuple(part for index, run in found for part in _without_last_space(index, run))


def _without_last_space(index: int, run: str) -> list[tuple[int, str]]:
    """A space at the end of a run that is read from the right would stand on its wrong side."""
    words = run.rstrip(" ")
    return [(index, words)] * bool(words) + [(0, " ")] * (len(run) - len(words))


@functools.cache
def faces() -> tuple[Path, ...]:
    """The files of the installed fonts, the one for Latin first, those for symbols last."""
    paths = [path for package in PACKAGES for path in sorted(_folder(package).iterdir())]
    fonts = {path.name: path for path in paths if path.suffix in (".ttf", ".ttc") and "Italic" not in path.name}
    between = [name for name in fonts if name not in (FIRST, *LAST)]
    return tuple(fonts[name] for name in (FIRST, *between, *LAST))


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the fonts of {package} are not installed: pip install -r requirements/ui.txt")
    return Path(spec.origin).parent


@functools.cache
def _characters(index: int) -> frozenset[int]:
    """What a font has. Most labels need the first font only, so each is read when it is asked for."""
    with TTFont(faces()[index], lazy=True, fontNumber=0) as font:
        return frozenset(font["cmap"].getBestCmap())


def _index(code: int) -> int | None:
    return next((index for index in range(len(faces())) if code in _characters(index)), None)


@functools.lru_cache(maxsize=256)
def _font(index: int, size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(faces()[index], size)
    font.set_variation_by_axes([WEIGHT])
    return font
