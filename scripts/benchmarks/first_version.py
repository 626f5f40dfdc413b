"""The design of this service's first version: one FastAPI process, eager PyTorch in fp32, pictures as base64 in JSON.

Run by the benchmark: uvicorn --factory benchmarks.first_version:create_app, with WEIGHTS naming the checkpoint. The
network is the one that the archives are made from, run layer by layer; decoding is done in it, as YOLOv5's Detect does.
"""

from __future__ import annotations

import base64
import io
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastapi import FastAPI
from PIL import Image
from pydantic import BaseModel

from archiver.checkpoint.reader import load_checkpoint
from detection.letterbox import Letterbox
from detection.suppression import Candidates, suppress

CONFIDENCE, IOU, MOST = 0.25, 0.45, 1000
IMAGE_SIZE = 640


class Request(BaseModel):
    """A model's name and a picture."""

    model: str
    image: str


class EagerYOLOv5:
    """The network and its decoding, as the reference has them."""

    def __init__(self, weights: Path) -> None:
        checkpoint = load_checkpoint(weights)
        if checkpoint.anchors is None:
            raise ValueError(f"{weights}: the first version knew YOLOv5 with anchors only")
        self._network = checkpoint.network.eval()
        self._strides = checkpoint.strides
        self._anchors = torch.tensor(checkpoint.anchors)
        self._class_names = checkpoint.class_names

    def detect(self, data: bytes) -> dict[str, Any]:
        """Detections of one picture as JSON."""
        started = time.perf_counter()
        image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        letterbox = Letterbox.fit(image.shape[:2], IMAGE_SIZE, max(self._strides))
        pixels = torch.from_numpy(letterbox.apply(image)).permute(2, 0, 1)[None].contiguous()
        with torch.inference_mode():
            kept = self._decode(self._network(pixels.float() / 255))
        boxes = letterbox.invert(kept.boxes)
        detections = [
            {"box": box.tolist(), "class": self._class_names[class_id], "confidence": float(confidence)}
            for box, class_id, confidence in zip(boxes, kept.class_ids, kept.confidences, strict=True)
        ]
        return {"detections": detections, "time": time.perf_counter() - started}

    def _decode(self, maps: list[torch.Tensor]) -> Candidates:
        """Every cell of every map decoded, then those above the threshold suppressed."""
        rows = []
        for stride, anchors, raw in zip(self._strides, self._anchors, maps, strict=True):
            height, width = raw.shape[2:]
            values = raw.view(len(anchors), -1, height, width).permute(0, 2, 3, 1).sigmoid()
            y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            centre = (values[..., 0:2] * 2 - 0.5 + torch.stack((x, y), dim=-1)) * stride
            size = (values[..., 2:4] * 2) ** 2 * anchors[:, None, None]
            rows.append(torch.cat((centre, size, values[..., 4:]), dim=-1).flatten(0, 2))
        every = torch.cat(rows)
        every = every[every[:, 4] > CONFIDENCE]
        confidences, class_ids = (every[:, 5:] * every[:, 4:5]).max(dim=1)
        wanted = confidences > CONFIDENCE
        centre, half = every[wanted, :2], every[wanted, 2:4] / 2
        boxes = torch.cat((centre - half, centre + half), dim=1)
        found = Candidates(boxes.numpy(), confidences[wanted].numpy(), class_ids[wanted].numpy())
        return suppress(found, IOU, MOST, agnostic=False)


def create_app() -> FastAPI:
    """The application; its network is loaded at the start."""
    app = FastAPI()
    network = EagerYOLOv5(Path(os.environ["WEIGHTS"]))

    @app.get("/health")
    def health() -> dict[str, bool]:
        return {"healthy": True}

    @app.post("/predict")
    def predict(request: Request) -> dict[str, Any]:
        return network.detect(base64.b64decode(request.image))

    return app
