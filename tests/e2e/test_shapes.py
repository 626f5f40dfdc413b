"""The accuracy of the embedded model on pictures that were not used for training."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from archiver.accuracy import Boxes, mean_average_precision
from demo_model.generator import CLASS_NAMES, draw
from support.pictures import TEST_SEED
from support.running_service import Service
from support.served_accuracy import boxes_of

PICTURES = 300


def test_shapes_is_accurate_on_unseen_pictures(service: Service) -> None:
    description = service.describe("shapes")["customizedMetadata"]
    assert description["classes"] == list(CLASS_NAMES)
    detections, labels = [], []
    for seed in range(TEST_SEED, TEST_SEED + PICTURES):
        drawn = draw(seed)
        buffer = io.BytesIO()
        Image.fromarray(drawn.image).save(buffer, "PNG")
        answer = service.client.detect(
            "shapes", buffer.getvalue(), confidence=0.001, iou=0.6, max_detections=300, multi_label=True
        )
        detections.append(boxes_of(answer))
        labels.append(Boxes(drawn.boxes_xyxy, drawn.class_ids, np.ones(len(drawn.class_ids))))
    precision = mean_average_precision(detections, labels)
    assert precision.at_50 >= 0.93, precision
    assert precision.at_50_95 >= 0.75, precision
