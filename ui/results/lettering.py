"""Drawing text of any script into a picture, in the Noto fonts that are installed with the page.

A character without a glyph in any font is drawn as its code, `[U+10CC0]`, so that it can be identified.
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
FIRST_FONT = "NotoSans[wght].ttf"
LAST_FONTS = ("NotoSansSymbols[wght].ttf", "NotoEmoji[wght].ttf")
WEIGHT = 600
ELLIPSIS = "…"
JOINERS = "\u200c\u200d\ufe0e\ufe0f"  # and variation selectors: they belong to the character before them


@dataclass(frozen=True)
class Lettering:
    """Text of one size in pixels. All lines have the same height."""

    size: int

    @property
    def ascent(self) -> int:
        """Pixels from a line's top to its baseline, with room for accents."""
        return round(1.07 * self.size)

    @property
    def height(self) -> int:
        """The height of a line in pixels."""
        return round(1.36 * self.size)

    def width(self, text: str) -> int:
        """The width of a text in pixels."""
        return round(sum(font.getlength(run) for font, run in self._runs(text)))

    def fitted(self, text: str, width: int, end: str = "") -> str:
        """The text followed by `end`, with the text shortened so that both are at most `width` pixels wide."""
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
        """Draw the text with its upper left corner at `xy`."""
        x, y = xy
        for font, run in self._runs(text):
            canvas.text((x, y + self.ascent), run, font=font, fill=fill, anchor="ls")
            x += font.getlength(run)

    def _runs(self, text: str) -> list[tuple[ImageFont.FreeTypeFont, str]]:
        return [(_font(index, self.size), run) for index, run in runs(printable(text))]


def printable(text: str) -> str:
    """The text on one line, without control characters, and with codes for characters that no font has."""
    return "".join(_printable(character) for character in unicodedata.normalize("NFC", text))


@functools.lru_cache(maxsize=4096)
def _printable(character: str) -> str:
    if character in JOINERS:
        return character
    if character.isspace():
        return " "
    if unicodedata.category(character) in ("Cc", "Cf"):
        return ""
    if _font_index(ord(character)) is None:
        return f"[U+{ord(character):04X}]"
    return character


@functools.lru_cache(maxsize=4096)
def runs(text: str) -> tuple[tuple[int, str], ...]:
    """The text as runs of one font each: (index in `font_paths()`, run).

    Spaces, combining marks and joiners stay in the run of the character before them.
    """
    merged: list[tuple[int, str]] = []
    for character in text:
        code = ord(character)
        follows = character in JOINERS or character == " " or unicodedata.combining(character)
        if merged and (follows or (code in _code_points(merged[-1][0]) and not character.isascii())):
            merged[-1] = (merged[-1][0], merged[-1][1] + character)
            continue
        index = _font_index(code) or 0
        if merged and merged[-1][0] == index:
            merged[-1] = (index, merged[-1][1] + character)
        else:
            merged.append((index, character))
    return tuple(part for index, run in merged for part in _without_last_space(index, run))


def _without_last_space(index: int, run: str) -> list[tuple[int, str]]:
    """The run, with spaces at its end as runs of their own: in right-to-left text they would be drawn at its left."""
    text = run.rstrip(" ")
    return [(index, text)] * bool(text) + [(0, " ")] * (len(run) - len(text))


@functools.cache
def font_paths() -> tuple[Path, ...]:
    """The files of the installed fonts: the one for Latin first, those for symbols last."""
    paths = [path for package in PACKAGES for path in sorted(_folder(package).iterdir())]
    fonts = {path.name: path for path in paths if path.suffix in (".ttf", ".ttc") and "Italic" not in path.name}
    between = [name for name in fonts if name not in (FIRST_FONT, *LAST_FONTS)]
    return tuple(fonts[name] for name in (FIRST_FONT, *between, *LAST_FONTS))


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the fonts of {package} are not installed: pip install -r requirements/ui.txt")
    return Path(spec.origin).parent


@functools.cache
def _code_points(index: int) -> frozenset[int]:
    """The characters that a font has. Most labels need the first font only, so each font is read at its first use."""
    with TTFont(font_paths()[index], lazy=True, fontNumber=0) as font:
        return frozenset(font["cmap"].getBestCmap())


def _font_index(code: int) -> int | None:
    return next((index for index in range(len(font_paths())) if code in _code_points(index)), None)


@functools.lru_cache(maxsize=256)
def _font(index: int, size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(font_paths()[index], size)
    font.set_variation_by_axes([WEIGHT])
    return font
