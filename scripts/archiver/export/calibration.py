"""The pictures that int8 quantisation is calibrated with."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from ..errors import CalibrationError

MAX_PICTURES = 128  # more pictures did not make int8 more accurate, and each takes time
MIN_PICTURES = 8
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Calibration:
    """Encoded pictures, and the path of a label file for each; the label files may be missing."""

    pictures: tuple[bytes, ...]
    labels: tuple[Path | None, ...]

    @classmethod
    def from_folder(cls, folder: Path) -> Calibration:
        """The pictures in `folder`, or those in its images/ with labels/ beside it, the layout of YOLO data sets.

        Of more than MAX_PICTURES pictures every n-th in order of name is taken, so the choice is always the same.
        """
        images = folder / "images" if (folder / "images").is_dir() else folder
        if not images.is_dir():
            raise CalibrationError(f"{folder}: a folder with calibration pictures was expected")
        paths = sorted(path for path in images.iterdir() if path.suffix.lower() in SUFFIXES)
        if len(paths) < MIN_PICTURES:
            raise CalibrationError(
                f"{images}: {len(paths)} pictures; at least {MIN_PICTURES} were expected, "
                f"and {MAX_PICTURES} or more are best"
            )
        step = max(1, len(paths) / MAX_PICTURES)
        chosen = [paths[int(index * step)] for index in range(min(MAX_PICTURES, len(paths)))]
        labels = folder / "labels"
        return cls(
            tuple(path.read_bytes() for path in chosen),
            tuple(labels / f"{path.stem}.txt" if labels.is_dir() else None for path in chosen),
        )

    @classmethod
    def of_demo_model(cls) -> Calibration:
        """Pictures of the generator that the embedded model was trained with."""
        from PIL import Image

        from demo_model.generator import draw

        pictures = []
        for seed in range(MAX_PICTURES):
            buffer = io.BytesIO()
            Image.fromarray(draw(seed).image).save(buffer, "PNG")
            pictures.append(buffer.getvalue())
        return cls(tuple(pictures), (None,) * MAX_PICTURES)

    @property
    def sha256(self) -> str:
        """Hex sha256 over all pictures in order."""
        digest = hashlib.sha256()
        for picture in self.pictures:
            digest.update(hashlib.sha256(picture).digest())
        return digest.hexdigest()
