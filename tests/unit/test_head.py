from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from detection.head import AnchorFreeHead, AnchorHead
from detection.options import Options
from detection.suppression import Candidates
from reference import Row, anchor_free_rows, anchor_rows

STRIDES = (8, 16)
ANCHORS = (((10.0, 13.0), (33.0, 23.0)), ((30.0, 61.0), (116.0, 90.0)))
CLASSES = 3
REG_MAX = 16


def maps(seed: int, channels: int, shift: float = 0.0) -> list[NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    shapes = [(1, channels, 4, 6), (1, channels, 2, 3)]
    return [(generator.normal(size=shape) * 2 + shift).astype(np.float32) for shape in shapes]


def assert_same(found: Candidates, expected: list[Row]) -> None:
    assert len(found.boxes) == len(expected)
    order, wanted = np.argsort(-found.confidences), sorted(expected, key=lambda row: -row[1])
    np.testing.assert_allclose(found.boxes[order], [row[0] for row in wanted] or np.empty((0, 4)), rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(found.confidences[order], [row[1] for row in wanted], rtol=1e-5)
    assert found.class_ids[order].tolist() == [row[2] for row in wanted]


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("confidence", [0.0, 0.001, 0.25, 0.6, 0.999, 1.0])
def test_anchor_head_agrees_with_the_plain_reference(confidence: float, multi_label: bool) -> None:
    raw = maps(1, 2 * (5 + CLASSES))
    found = AnchorHead(STRIDES, ANCHORS).candidates(raw, Options(confidence=confidence, multi_label=multi_label))
    assert_same(found, anchor_rows(raw, STRIDES, ANCHORS, confidence, multi_label))


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("confidence", [0.0, 0.001, 0.25, 0.6, 0.999, 1.0])
def test_anchor_free_head_agrees_with_the_plain_reference(confidence: float, multi_label: bool) -> None:
    raw = maps(2, 4 * REG_MAX + CLASSES)
    found = AnchorFreeHead(STRIDES, REG_MAX).candidates(raw, Options(confidence=confidence, multi_label=multi_label))
    assert_same(found, anchor_free_rows(raw, STRIDES, REG_MAX, confidence, multi_label))


def test_nothing_passes_where_nothing_is_there() -> None:
    found = AnchorHead(STRIDES, ANCHORS).candidates(maps(3, 2 * (5 + CLASSES), shift=-40), Options())
    assert found.boxes.shape == (0, 4)
    assert found.confidences.shape == found.class_ids.shape == (0,)


def test_extreme_logits_are_no_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        found = AnchorHead(STRIDES, ANCHORS).candidates(
            [np.sign(raw) * np.float32(500) for raw in maps(4, 2 * (5 + CLASSES))], Options(confidence=0.0)
        )
    assert np.isfinite(found.boxes).all()


def test_only_the_classes_asked_for_are_answered() -> None:
    raw = maps(5, 2 * (5 + CLASSES))
    head = AnchorHead(STRIDES, ANCHORS)
    every = head.candidates(raw, Options(confidence=0.01))
    some = head.candidates(raw, Options(confidence=0.01, classes=(0, 2)))
    # A box whose best class is not asked for is gone; it does not come back under its second-best class.
    assert some.class_ids.tolist() == [class_id for class_id in every.class_ids.tolist() if class_id != 1]


@pytest.mark.parametrize("confidence", [0.05, 0.25, 0.5, 0.9, 0.99999])
def test_a_confidence_just_above_the_threshold_is_kept_and_an_equal_one_is_not(confidence: float) -> None:
    threshold = np.float32(confidence)
    raw = np.full((1, 6, 1, 40), -30, np.float32)  # one anchor, one class, forty cells around the threshold
    raw[0, 5] = 40.0  # class score exactly 1
    centre = np.float32(np.log(confidence / (1 - confidence)))
    raw[0, 4, 0] = centre + (np.arange(40, dtype=np.float32) - 20) * np.spacing(centre)
    found = AnchorHead((8,), (((10.0, 10.0),),)).candidates([raw], Options(confidence=confidence))
    objectness = np.float32(1) / (np.float32(1) + np.exp(-raw[0, 4, 0]))
    assert len(found.boxes) == int((objectness > threshold).sum())
