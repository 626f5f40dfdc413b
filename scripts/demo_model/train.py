"""Trains the embedded model from scratch and writes it to shapes.pt: python -m demo_model.train.

It needs ultralytics with all dependencies (pip install ultralytics), which requirements/archive.txt does not install.
It needs neither the network nor an accelerator.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image

from demo_model.generator import CLASS_NAMES, draw
from demo_model.torchvision_stub import stubbed_torchvision

# The seeds from 10,000,000 are for the tests; training must not use them.
FIRST_TRAINING_SEED = 0
FIRST_VALIDATION_SEED = 9_000_000
VALIDATION_PICTURES = 200

IMAGE_SIZE = 320
DEPTH, WIDTH = 0.33, 0.15625  # relative to YOLOv5l; YOLOv5n has 0.33 and 0.25

# The generator draws as many pictures as needed, so flips are the only augmentation.
AUGMENTATION: dict[str, Any] = {
    **dict.fromkeys(("mosaic", "mixup", "cutmix", "copy_paste", "degrees", "translate", "scale", "shear"), 0.0),
    **dict.fromkeys(("perspective", "erasing", "hsv_h", "hsv_s", "hsv_v"), 0.0),
    "close_mosaic": 0,
    "fliplr": 0.5,
    "flipud": 0.5,
}
TRAINING_OPTIONS: dict[str, Any] = {
    "optimizer": "AdamW",
    "lr0": 0.002,
    "lrf": 0.01,
    "cos_lr": True,
    "momentum": 0.9,
    "weight_decay": 0.0005,
    "warmup_epochs": 0.5,
    "warmup_bias_lr": 0.0,
    "batch": 16,
    "nbs": 16,  # one step per batch: by default the trainer accumulates four batches of 16
    "seed": 0,
    "deterministic": True,
    "amp": False,
    "device": "cpu",
    "workers": 0,
    "cache": "ram",
    "imgsz": IMAGE_SIZE,
    "task": "detect",
}


def main() -> None:
    """Draw the pictures, train on them, and save the network."""
    arguments = _parse_arguments()
    with tempfile.TemporaryDirectory(prefix="shapes-") as name:
        folder = Path(name)
        _isolate_ultralytics(folder)
        dataset = _write_dataset(folder, arguments.pictures)
        options = {**TRAINING_OPTIONS, **AUGMENTATION, "epochs": arguments.epochs}
        trained = _train(folder, dataset, options)
        _save(trained, options, arguments.output)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the embedded model.")
    parser.add_argument("--pictures", type=int, default=8000, help="number of training pictures (default: 8000)")
    parser.add_argument("--epochs", type=int, default=4, help="(default: 4)")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("shapes.pt"))
    return parser.parse_args()


def _isolate_ultralytics(folder: Path) -> None:
    """Forbid ultralytics the network, installs and the home folder. Call this before ultralytics is imported."""
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_CONFIG_DIR=str(folder), WANDB_MODE="disabled")


def _write_dataset(folder: Path, pictures: int) -> Path:
    """Write the pictures and labels of both splits as a YOLO data set. Returns the path of its dataset.yaml."""
    seeds = {
        "train": range(FIRST_TRAINING_SEED, FIRST_TRAINING_SEED + pictures),
        "val": range(FIRST_VALIDATION_SEED, FIRST_VALIDATION_SEED + VALIDATION_PICTURES),
    }
    if seeds["train"].stop > FIRST_VALIDATION_SEED:
        raise ValueError(f"at most {FIRST_VALIDATION_SEED} training pictures were expected, got {pictures}")
    for split, split_seeds in seeds.items():
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
            list(pool.map(partial(_write_picture, folder, split), split_seeds, chunksize=50))
    dataset = folder / "dataset.yaml"
    splits = {split: f"images/{split}" for split in seeds}
    dataset.write_text(yaml.safe_dump({"path": str(folder), **splits, "names": dict(enumerate(CLASS_NAMES))}))
    return dataset


def _write_picture(folder: Path, split: str, seed: int) -> None:
    picture = draw(seed)
    # Half the pictures are JPEG, as most pictures of users are.
    image = folder / "images" / split / (f"{seed}.jpg" if seed % 2 else f"{seed}.png")
    Image.fromarray(picture.image).save(image, quality=75 + seed % 20, compress_level=1)
    height, width = picture.image.shape[:2]
    fractions_xyxy = picture.boxes_xyxy / np.array([width, height, width, height])
    lines = []
    for class_id, (x_min, y_min, x_max, y_max) in zip(picture.class_ids, fractions_xyxy, strict=True):
        cxcywh = ((x_min + x_max) / 2, (y_min + y_max) / 2, x_max - x_min, y_max - y_min)
        lines.append(" ".join([str(class_id), *(f"{value:.6f}" for value in cxcywh)]))
    (folder / "labels" / split / f"{seed}.txt").write_text("\n".join(lines))


def _train(folder: Path, dataset: Path, options: dict[str, Any]) -> Path:
    """Run ultralytics' trainer. Returns the path of its last checkpoint."""
    with stubbed_torchvision():
        detect = import_module("ultralytics.models.yolo.detect")
        paths = {"model": str(_write_architecture(folder)), "data": str(dataset), "project": str(folder)}
        trainer = detect.DetectionTrainer(overrides={**options, **paths, "plots": False, "val": False})
        trainer.add_callback("on_train_start", _train_in_bfloat16)
        torch.set_num_threads(os.cpu_count() or 1)
        trainer.train()
    return Path(trainer.last)


def _train_in_bfloat16(trainer: Any) -> None:
    """Halves the time on a CPU with bfloat16. The trainer's option `amp` supports this only on CUDA."""
    trainer.model.forward = torch.autocast("cpu", torch.bfloat16)(trainer.model.forward)


def _write_architecture(folder: Path) -> Path:
    """Write ultralytics' YOLOv5n (with the anchor-free head), but narrower. Returns the path of the YAML file."""
    description = import_module("ultralytics.nn.tasks").yaml_model_load("yolov5n.yaml")
    description["scales"] = {"n": [DEPTH, WIDTH, 1024]}
    path = folder / "yolov5n-shapes.yaml"
    path.write_text(yaml.safe_dump(description))
    return path


def _save(trained: Path, options: dict[str, Any], output: Path) -> None:
    """Write only the network, in half precision, without paths of this machine."""
    network = torch.load(trained, map_location="cpu", weights_only=False)["model"].half()
    network.args = dict(options)
    network.yaml["yaml_file"] = "yolov5n.yaml"
    torch.save({"model": network, "train_args": options, "epoch": -1, "license": "AGPL-3.0"}, output)


if __name__ == "__main__":
    main()
