"""The embedded model is good at what it was made for."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from archiver.accuracy import Boxes, mean_average_precision
from demo_model.generator import CLASS_NAMES, draw
from support.pictures import TEST_SEED
from support.running_service import Service
from support.served_accuracy import found_by

PICTURES = 300


def test_shapes_detects_unseen_pictures(service: Service) -> None:
    description = service.describe("shapes")["customizedMetadata"]
    assert description["classes"] == list(CLASS_NAMES)
    found, expected = [], []
    for seed in range(TEST_SEED, TEST_SEED + PICTURES):
        truth = draw(seed)
        buffer = io.BytesIO()
        Image.fromarray(truth.image).save(buffer, "PNG")
        answer = service.client.detect(
            "shapes", buffer.getvalue(), confidence=0.001, iou=0.6, max_detections=300, multi_label=True
        )
        found.append(found_by(answer))
        expected.append(Boxes(truth.boxes_xyxy, truth.class_ids, np.ones(len(truth.class_ids))))
    precision = mean_average_precision(found, expected)
    assert precision.at_50 >= 0.93, precision
    assert precision.at_50_95 >= 0.75, precision
