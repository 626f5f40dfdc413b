from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from detection.head import AnchorFreeHead, AnchorHead
from detection.options import Options
from detection.suppression import Candidates
from support.reference import Row, anchor_free_rows, anchor_rows

STRIDES = (8, 16)
ANCHORS = (((10.0, 13.0), (33.0, 23.0)), ((30.0, 61.0), (116.0, 90.0)))
CLASSES = 3
REG_MAX = 16


def maps(seed: int, channels: int, shift: float = 0.0) -> list[NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    shapes = [(1, channels, 4, 6), (1, channels, 2, 3)]
    return [(generator.normal(size=shape) * 2 + shift).astype(np.float32) for shape in shapes]


@dataclass(frozen=True)
class AnchorCase:
    """A head with random weights, the maps that it takes, and the raw maps of the whole convolution."""

    head: AnchorHead
    maps: list[NDArray[np.float32]]
    raw: list[NDArray[np.float32]]


def anchor_case(seed: int, channels: int = 7, gain: float = 1.0, shift: float = 0.0) -> AnchorCase:
    generator = np.random.default_rng(seed)
    weights, biases, given, raw = [], [], [], []
    for rows, columns in ((4, 6), (2, 3)):
        weight = (gain * generator.normal(size=(2, 5 + CLASSES, channels))).astype(np.float32)
        bias = (generator.normal(size=(2, 5 + CLASSES)) + shift).astype(np.float32)
        features = generator.normal(size=(1, channels, rows, columns)).astype(np.float32)
        whole = np.einsum("avc,ncyx->navyx", weight, features, dtype=np.float32) + bias[None, :, :, None, None]
        weights.append(weight)
        biases.append(bias)
        given += [whole[:, :, 4], features]
        raw.append(whole.reshape(1, -1, rows, columns))
    return AnchorCase(AnchorHead(STRIDES, ANCHORS, tuple(weights), tuple(biases)), given, raw)


def assert_same(candidates: Candidates, expected: list[Row]) -> None:
    assert len(candidates.boxes) == len(expected)
    order, rows = np.argsort(-candidates.confidences), sorted(expected, key=lambda row: -row[1])
    boxes = [row[0] for row in rows] or np.empty((0, 4))
    np.testing.assert_allclose(candidates.boxes[order], boxes, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(candidates.confidences[order], [row[1] for row in rows], rtol=1e-5)
    assert candidates.class_ids[order].tolist() == [row[2] for row in rows]


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("confidence", [0.0, 0.001, 0.25, 0.6, 0.999, 1.0])
def test_anchor_head_agrees_with_the_slow_reference(confidence: float, multi_label: bool) -> None:
    case = anchor_case(1)
    candidates = case.head.candidates(case.maps, Options(confidence=confidence, multi_label=multi_label))
    assert_same(candidates, anchor_rows(case.raw, STRIDES, ANCHORS, confidence, multi_label))


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("confidence", [0.0, 0.001, 0.25, 0.6, 0.999, 1.0])
def test_anchor_free_head_agrees_with_the_slow_reference(confidence: float, multi_label: bool) -> None:
    raw = maps(2, 4 * REG_MAX + CLASSES)
    candidates = AnchorFreeHead(STRIDES, REG_MAX).candidates(
        raw, Options(confidence=confidence, multi_label=multi_label)
    )
    assert_same(candidates, anchor_free_rows(raw, STRIDES, REG_MAX, confidence, multi_label))


def test_low_logits_give_no_candidates() -> None:
    case = anchor_case(3, shift=-40)
    candidates = case.head.candidates(case.maps, Options())
    assert candidates.boxes.shape == (0, 4)
    assert candidates.confidences.shape == candidates.class_ids.shape == (0,)


def test_extreme_logits_do_not_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        case = anchor_case(4, gain=500)
        candidates = case.head.candidates(case.maps, Options(confidence=0.0))
    assert np.isfinite(candidates.boxes).all()


def test_only_requested_classes_are_returned() -> None:
    case = anchor_case(5)
    every = case.head.candidates(case.maps, Options(confidence=0.01))
    some = case.head.candidates(case.maps, Options(confidence=0.01, classes=(0, 2)))
    # A box whose best class is not requested is dropped, not reported with its second-best class.
    assert some.class_ids.tolist() == [class_id for class_id in every.class_ids.tolist() if class_id != 1]


@pytest.mark.parametrize("confidence", [0.05, 0.25, 0.5, 0.9, 0.99999])
def test_a_confidence_just_above_the_threshold_is_kept_and_an_equal_one_is_not(confidence: float) -> None:
    threshold = np.float32(confidence)
    centre = np.float32(np.log(confidence / (1 - confidence)))
    logits = centre + (np.arange(40, dtype=np.float32) - 20) * np.spacing(centre)  # forty cells around the threshold
    # One anchor, one class, one feature, which is the logit of objectness; the class score is exactly 1.
    weights, biases = np.zeros((1, 6, 1), np.float32), np.zeros((1, 6), np.float32)
    weights[0, 4], biases[0, 5] = 1, 40
    head = AnchorHead((8,), (((10.0, 10.0),),), (weights,), (biases,))
    # The rounding of the objectness by an engine must not change the result.
    objectness = (logits - np.float32(0.003)).reshape(1, 1, 1, 40)
    candidates = head.candidates([objectness, logits.reshape(1, 1, 1, 40)], Options(confidence=confidence))
    exact = np.float32(1) / (np.float32(1) + np.exp(-logits))
    assert len(candidates.boxes) == int((exact > threshold).sum())
