"""What one would pick today without this service: ultralytics' own OpenVINO export behind FastAPI.

Run by the benchmark: uvicorn --factory benchmarks.ultralytics_export:create_app, with WEIGHTS naming the exported
folder. `python -m benchmarks.ultralytics_export CHECKPOINT` exports.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image

from demo_model.torchvision_standin import torchvision_stood_in

IMAGE_SIZE = 640


def create_app() -> FastAPI:
    """The application; its network is loaded at the start."""
    app = FastAPI()
    app.state.standing_in = ExitStack()  # kept with the application, for the life of the process
    app.state.standing_in.enter_context(torchvision_stood_in())
    vars(sys.modules["torchvision.ops"])["nms"] = compiled_nms
    import ultralytics

    network: Any = ultralytics.YOLO(os.environ["WEIGHTS"], task="detect")  # type: ignore[attr-defined]
    alone = threading.Lock()  # its predictor keeps the picture at hand in itself, so one call at a time

    @app.get("/health")
    def health() -> dict[str, bool]:
        return {"healthy": True}

    def look(data: bytes) -> list[dict[str, Any]]:
        image = Image.open(io.BytesIO(data))
        with alone:
            [result] = network.predict(image, imgsz=IMAGE_SIZE, verbose=False)
        found: list[dict[str, Any]] = result.summary()
        return found

    @app.post("/predict")
    async def predict(request: Request) -> list[dict[str, Any]]:
        return await run_in_threadpool(look, await request.body())

    return app


def compiled_nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """As torchvision.ops.nms, by OpenCV: the stand-in's own is plain Python, which would be unfair here."""
    corners = boxes.numpy()
    sizes: Any = np.concatenate((corners[:, :2], corners[:, 2:] - corners[:, :2]), axis=1)
    given: Any = scores.numpy()
    return torch.from_numpy(np.asarray(cv2.dnn.NMSBoxes(sizes, given, 0.0, iou_threshold), np.int64))


def export(checkpoint: Path) -> Path:
    """The folder that ultralytics exports the checkpoint to, beside it."""
    with torchvision_stood_in():
        import ultralytics

        network: Any = ultralytics.YOLO(str(checkpoint))  # type: ignore[attr-defined]
        return Path(network.export(format="openvino", imgsz=IMAGE_SIZE, dynamic=True, verbose=False))


if __name__ == "__main__":
    print(export(Path(sys.argv[1])))
