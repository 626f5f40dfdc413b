"""The networks that are measured: checkpoints, their archives, and the photo."""

from __future__ import annotations

import io
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from archiver.build import build_archive
from archiver.options import ArchiveOptions, Precision
from archiver.weights import default_licence, local_weights

# tests/ knows how to make checkpoints in the genuine formats.
from checkpoint_factory.checkpoints import build_anchor_free, build_checkpoint
from detection.image import decode_image
from detection.letterbox import Letterbox

PHOTO_WH = (810, 1080)
PASSING_SHARE = 0.004  # of the cells, about as many as yolov5n's own on a street scene
CALIBRATION_PICTURES = 16  # they decide how accurate int8 is, not how fast


@dataclass(frozen=True)
class Subject:
    """One variant. `random` says that its weights are: they take as long as trained ones, and see nothing."""

    variant: str
    weights: Path
    anchor_free: Path
    random: bool


def prepare_photo(given: Path | None, folder: Path) -> Path:
    """The photo to send: the one given, COCO's street scene where COCO_DIR has it, else a drawn one."""
    if given:
        return given
    street = Path(os.environ.get("COCO_DIR", "")) / "bus.jpg"
    if os.environ.get("COCO_DIR") and street.is_file():
        return street
    path = folder / "photo.jpg"
    _drawn().save(path, quality=97, subsampling=0)
    return path


def prepare(variant: str, photo: Path, folder: Path) -> Subject:
    """Checkpoints of one variant: the trained one where it lies on this machine, else one with random weights."""
    found = local_weights(variant)
    weights = folder / f"{variant}.pt"
    anchor_free = folder / f"{variant}u.pt"
    image = decode_image(photo.read_bytes())
    boxed = Letterbox.fit(image.shape[:2], 640, 32).apply(image)
    example = torch.from_numpy(boxed).permute(2, 0, 1)[None].float() / 255
    if found:
        shutil.copyfile(found, weights)  # and not a link: nothing here may ever write to somebody's checkpoint
    else:
        build_checkpoint(variant, weights, image=example, passing_share=PASSING_SHARE)
    # Here the share is of the cells that pass for one class, and there are 80.
    build_anchor_free(anchor_free, size=variant[-1], image=example, passing_share=PASSING_SHARE / 80)
    return Subject(variant, weights, anchor_free, random=found is None)


def build_archives(subject: Subject, calibration: Path | None, photo: Path, store: Path) -> list[str]:
    """Archives of the subject in fp32, bf16 and int8, and of its anchor-free form; their names."""
    pictures = calibration or _own_calibration(photo, store.parent / "calibration")
    wanted: list[tuple[Path, str, Precision]] = [
        (subject.weights, subject.variant, "fp32"),
        (subject.weights, f"{subject.variant}-bf16", "bf16"),
        (subject.weights, f"{subject.variant}-int8", "int8"),
        (subject.anchor_free, f"{subject.variant}u", "fp32"),
    ]
    for weights, name, precision in wanted:
        options = ArchiveOptions(name=name, model_store=store, precision=precision, licence=default_licence(name))
        build_archive(weights, options, pictures if precision == "int8" else None)
    return [name for _, name, _ in wanted]


def _own_calibration(photo: Path, folder: Path) -> Path:
    """Pieces of the photo, where no other pictures are given."""
    folder.mkdir(exist_ok=True)
    whole = Image.open(photo).convert("RGB")
    draw = random.Random(0)
    for index in range(CALIBRATION_PICTURES):
        width, height = (draw.randint(side // 3, side) for side in whole.size)
        left, top = draw.randint(0, whole.width - width), draw.randint(0, whole.height - height)
        buffer = io.BytesIO()
        whole.crop((left, top, left + width, top + height)).save(buffer, "JPEG", quality=95)
        (folder / f"{index}.jpg").write_bytes(buffer.getvalue())
    return folder


def _drawn() -> Image.Image:
    """Noise of every size, which takes a decoder as long as a photo's grain does."""
    generator = np.random.default_rng(0)
    width, height = PHOTO_WH
    total = np.zeros((height, width, 3))
    for cell in (1, 4, 16, 64, 256):
        noise = generator.integers(0, 256, (height // cell + 1, width // cell + 1, 3), np.uint8)
        total += np.asarray(Image.fromarray(noise).resize(PHOTO_WH, Image.Resampling.BILINEAR), np.float64)
    return Image.fromarray((total / 5).astype(np.uint8))
