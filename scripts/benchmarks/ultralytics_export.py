"""The usual alternative to this service: ultralytics' OpenVINO export behind FastAPI.

The benchmark runs it: uvicorn --factory benchmarks.ultralytics_export:create_app, with the exported folder in the
variable WEIGHTS. `python -m benchmarks.ultralytics_export CHECKPOINT` exports a checkpoint.
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

from demo_model.torchvision_stub import stubbed_torchvision

IMAGE_SIZE = 640


def create_app() -> FastAPI:
    """The application. It loads the network at its start."""
    app = FastAPI()
    app.state.stub = ExitStack()  # stays open until the process ends
    app.state.stub.enter_context(stubbed_torchvision())
    vars(sys.modules["torchvision.ops"])["nms"] = compiled_nms
    import ultralytics

    network: Any = ultralytics.YOLO(os.environ["WEIGHTS"], task="detect")  # type: ignore[attr-defined]
    lock = threading.Lock()  # the predictor stores the current picture, so only one call at a time is possible

    @app.get("/health")
    def health() -> dict[str, bool]:
        return {"healthy": True}

    def detect(data: bytes) -> list[dict[str, Any]]:
        image = Image.open(io.BytesIO(data))
        with lock:
            [result] = network.predict(image, imgsz=IMAGE_SIZE, verbose=False)
        detections: list[dict[str, Any]] = result.summary()
        return detections

    @app.post("/predict")
    async def predict(request: Request) -> list[dict[str, Any]]:
        return await run_in_threadpool(detect, await request.body())

    return app


def compiled_nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Like torchvision.ops.nms, by OpenCV: the stub's nms is plain Python, and too slow for a fair comparison."""
    corners = boxes.numpy()
    boxes_xywh: Any = np.concatenate((corners[:, :2], corners[:, 2:] - corners[:, :2]), axis=1)
    scores_array: Any = scores.numpy()
    return torch.from_numpy(np.asarray(cv2.dnn.NMSBoxes(boxes_xywh, scores_array, 0.0, iou_threshold), np.int64))


def export(checkpoint: Path) -> Path:
    """Export a checkpoint with ultralytics. Returns the folder beside it."""
    with stubbed_torchvision():
        import ultralytics

        network: Any = ultralytics.YOLO(str(checkpoint))  # type: ignore[attr-defined]
        return Path(network.export(format="openvino", imgsz=IMAGE_SIZE, dynamic=True, verbose=False))


if __name__ == "__main__":
    print(export(Path(sys.argv[1])))
