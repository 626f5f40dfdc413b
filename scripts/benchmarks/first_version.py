"""The design of this service's first version: one FastAPI process, eager PyTorch in fp32, pictures as base64 in JSON.

The benchmark runs it: uvicorn --factory benchmarks.first_version:create_app, with the checkpoint in the variable
WEIGHTS. The network is the one of the archives, run layer by layer. It decodes every cell, as YOLOv5's Detect does.
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

CONFIDENCE, IOU, MAX_DETECTIONS = 0.25, 0.45, 1000
IMAGE_SIZE = 640


class Request(BaseModel):
    """Name of the model, and the picture as base64."""

    model: str
    image: str


class EagerYOLOv5:
    """The network with the decoding of the reference."""

    def __init__(self, weights: Path) -> None:
        checkpoint = load_checkpoint(weights)
        if checkpoint.anchors is None:
            raise ValueError(f"{weights}: the first version supports only YOLOv5 with anchors")
        self._network = checkpoint.network.eval()
        self._strides = checkpoint.strides
        self._anchors = torch.tensor(checkpoint.anchors)
        self._class_names = checkpoint.class_names

    def detect(self, data: bytes) -> dict[str, Any]:
        """The detections of one picture, as the content of the JSON answer."""
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
        """Decode every cell of every map, apply the threshold, then suppress."""
        rows = []
        for stride, anchors, raw in zip(self._strides, self._anchors, maps, strict=True):
            height, width = raw.shape[2:]
            values = raw.view(len(anchors), -1, height, width).permute(0, 2, 3, 1).sigmoid()
            y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            centre = (values[..., 0:2] * 2 - 0.5 + torch.stack((x, y), dim=-1)) * stride
            size = (values[..., 2:4] * 2) ** 2 * anchors[:, None, None]
            rows.append(torch.cat((centre, size, values[..., 4:]), dim=-1).flatten(0, 2))
        cells = torch.cat(rows)
        cells = cells[cells[:, 4] > CONFIDENCE]
        confidences, class_ids = (cells[:, 5:] * cells[:, 4:5]).max(dim=1)
        passing = confidences > CONFIDENCE
        centre, half = cells[passing, :2], cells[passing, 2:4] / 2
        boxes = torch.cat((centre - half, centre + half), dim=1)
        candidates = Candidates(boxes.numpy(), confidences[passing].numpy(), class_ids[passing].numpy())
        return suppress(candidates, IOU, MAX_DETECTIONS, agnostic=False)


def create_app() -> FastAPI:
    """The application. It loads the network at its start."""
    app = FastAPI()
    network = EagerYOLOv5(Path(os.environ["WEIGHTS"]))

    @app.get("/health")
    def health() -> dict[str, bool]:
        return {"healthy": True}

    @app.post("/predict")
    def predict(request: Request) -> dict[str, Any]:
        return network.detect(base64.b64decode(request.image))

    return app
