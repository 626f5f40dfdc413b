"""The pictures that a network's activations are measured with before it is quantised."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from ..errors import CalibrationError

MOST = 128  # more did not make int8 more accurate, and each takes time
LEAST = 8
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Calibration:
    """Encoded pictures, and for each its label file, which need not exist."""

    pictures: tuple[bytes, ...]
    labels: tuple[Path | None, ...]

    @classmethod
    def from_folder(cls, folder: Path) -> Calibration:
        """The pictures in `folder`, or in its images/ with labels/ beside, as YOLO data sets have them.

        Of more than MOST pictures every n-th is taken, by name, so that the choice is the same each time.
        """
        images = folder / "images" if (folder / "images").is_dir() else folder
        if not images.is_dir():
            raise CalibrationError(f"{folder}: a folder with pictures to calibrate with was expected")
        paths = sorted(path for path in images.iterdir() if path.suffix.lower() in ENDINGS)
        if len(paths) < LEAST:
            raise CalibrationError(
                f"{images}: {len(paths)} pictures; at least {LEAST} were expected, best {MOST} or more"
            )
        step = max(1, len(paths) / MOST)
        chosen = [paths[int(index * step)] for index in range(min(MOST, len(paths)))]
        labels = folder / "labels"
        return cls(
            tuple(path.read_bytes() for path in chosen),
            tuple(labels / f"{path.stem}.txt" if labels.is_dir() else None for path in chosen),
        )

    @classmethod
    def of_shapes(cls) -> Calibration:
        """Pictures of the generator that the embedded model was trained on."""
        from PIL import Image

        from demo_model.generator import draw

        pictures = []
        for seed in range(MOST):
            buffer = io.BytesIO()
            Image.fromarray(draw(seed).image).save(buffer, "PNG")
            pictures.append(buffer.getvalue())
        return cls(tuple(pictures), (None,) * MOST)

    @property
    def sha256(self) -> str:
        """Of all pictures in order."""
        digest = hashlib.sha256()
        for picture in self.pictures:
            digest.update(hashlib.sha256(picture).digest())
        return digest.hexdigest()
