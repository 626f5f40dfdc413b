"""The inputs of the benchmark: checkpoints, archives, and the photo."""

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
from checkpoint_factory.checkpoints import build_anchor_free, build_checkpoint
from detection.image import decode_image
from detection.letterbox import Letterbox

PHOTO_WH = (810, 1080)
PASSING_SHARE = 0.004  # of the cells, about as many as pass with yolov5n's trained weights on a street scene
CALIBRATION_PICTURES = 16  # they affect the accuracy of int8, not its speed


@dataclass(frozen=True)
class VariantCheckpoints:
    """The checkpoints of one variant. random: its weights are random; the speed is that of trained weights."""

    variant: str
    with_anchors: Path
    anchor_free: Path
    random: bool


def prepare_photo(given: Path | None, folder: Path) -> Path:
    """The photo to send: `given`, else bus.jpg of COCO_DIR, else a synthetic one."""
    if given:
        return given
    coco_photo = Path(os.environ.get("COCO_DIR", "")) / "bus.jpg"
    if os.environ.get("COCO_DIR") and coco_photo.is_file():
        return coco_photo
    path = folder / "photo.jpg"
    _synthetic_photo().save(path, quality=97, subsampling=0)
    return path


def prepare_checkpoints(variant: str, photo: Path, folder: Path) -> VariantCheckpoints:
    """The checkpoints of one variant: the trained one if it is on this machine, else one with random weights."""
    trained = local_weights(variant)
    with_anchors = folder / f"{variant}.pt"
    anchor_free = folder / f"{variant}u.pt"
    image = decode_image(photo.read_bytes())
    letterboxed = Letterbox.fit(image.shape[:2], 640, 32).apply(image)
    example = torch.from_numpy(letterboxed).permute(2, 0, 1)[None].float() / 255
    if trained:
        shutil.copyfile(trained, with_anchors)  # not a link: the user's checkpoint must stay unchanged
    else:
        build_checkpoint(variant, with_anchors, image=example, passing_share=PASSING_SHARE)
    # Without anchors the share is that of one class, and there are 80 classes.
    build_anchor_free(anchor_free, size=variant[-1], image=example, passing_share=PASSING_SHARE / 80)
    return VariantCheckpoints(variant, with_anchors, anchor_free, random=trained is None)


def build_archives(checkpoints: VariantCheckpoints, calibration: Path | None, photo: Path, store: Path) -> list[str]:
    """Build archives in fp32, bf16 and int8, and one of the anchor-free checkpoint. Returns their names."""
    pictures = calibration or _photo_crops(photo, store.parent / "calibration")
    archives: list[tuple[Path, str, Precision]] = [
        (checkpoints.with_anchors, checkpoints.variant, "fp32"),
        (checkpoints.with_anchors, f"{checkpoints.variant}-bf16", "bf16"),
        (checkpoints.with_anchors, f"{checkpoints.variant}-int8", "int8"),
        (checkpoints.anchor_free, f"{checkpoints.variant}u", "fp32"),
    ]
    for checkpoint, name, precision in archives:
        options = ArchiveOptions(name=name, model_store=store, precision=precision, licence=default_licence(name))
        build_archive(checkpoint, options, pictures if precision == "int8" else None)
    return [name for _, name, _ in archives]


def _photo_crops(photo: Path, folder: Path) -> Path:
    """Calibration pictures: random crops of the photo."""
    folder.mkdir(exist_ok=True)
    image = Image.open(photo).convert("RGB")
    rng = random.Random(0)
    for index in range(CALIBRATION_PICTURES):
        width, height = (rng.randint(side // 3, side) for side in image.size)
        left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
        buffer = io.BytesIO()
        image.crop((left, top, left + width, top + height)).save(buffer, "JPEG", quality=95)
        (folder / f"{index}.jpg").write_bytes(buffer.getvalue())
    return folder


def _synthetic_photo() -> Image.Image:
    """Noise of every size: decoding it takes as long as decoding a photo."""
    generator = np.random.default_rng(0)
    width, height = PHOTO_WH
    total = np.zeros((height, width, 3))
    for cell in (1, 4, 16, 64, 256):
        noise = generator.integers(0, 256, (height // cell + 1, width // cell + 1, 3), np.uint8)
        total += np.asarray(Image.fromarray(noise).resize(PHOTO_WH, Image.Resampling.BILINEAR), np.float64)
    return Image.fromarray((total / 5).astype(np.uint8))
