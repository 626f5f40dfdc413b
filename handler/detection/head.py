"""From the network's raw maps to candidates: threshold first, decode only what passed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .options import Options
from .suppression import Candidates

Floats = NDArray[np.float32]

# The comparison of logits lets this much more pass, so that rounding loses nothing; the exact test comes after.
MARGIN = 1e-6


@dataclass(frozen=True)
class AnchorHead:
    """YOLOv5's own head: per cell and anchor a box, an objectness and a score per class.

    `anchors` are (width, height) in input pixels, one tuple of them per stride.
    """

    strides: tuple[int, ...]
    anchors: tuple[tuple[tuple[float, float], ...], ...]

    def candidates(self, maps: Sequence[Floats], options: Options) -> Candidates:
        """Candidates above the confidence threshold.

        `maps`: per stride (1, anchors * (5 + classes), rows, columns), before the sigmoid. Decoding is that of
        YOLOv5 v6: xy = (2 s - 0.5 + cell) * stride, wh = (2 s)^2 * anchor, s the sigmoid.
        """
        # strategy: confidence = objectness * class score <= objectness, and the sigmoid is monotonic. So one
        # comparison of raw objectness leaves the few hundred rows that are worth a sigmoid.
        threshold = _logit(options.confidence)
        boxes, scores = [], []
        for stride, anchors, raw in zip(self.strides, self.anchors, maps, strict=True):
            rows, columns = raw.shape[2:]
            grid = raw.reshape(len(anchors), -1, rows, columns)
            anchor, y, x = np.nonzero(grid[:, 4] > threshold)
            passed = _sigmoid(grid[anchor, :, y, x])
            cell = np.stack((x, y), axis=1).astype(np.float32) - np.float32(0.5)
            centre = (passed[:, 0:2] * 2 + cell) * np.float32(stride)
            size = (passed[:, 2:4] * 2) ** 2 * np.array(anchors, np.float32)[anchor]
            boxes.append(np.concatenate((centre - size / 2, centre + size / 2), axis=1))
            scores.append(passed[:, 5:] * passed[:, 4:5])
        return _choose(np.concatenate(boxes), np.concatenate(scores), options)


@dataclass(frozen=True)
class AnchorFreeHead:
    """The head of YOLOv5u: per cell four distances to the box's sides, each a distribution, and a score per class.

    A distance is the mean of `reg_max` bins 0, 1, ... in units of the stride.
    """

    strides: tuple[int, ...]
    reg_max: int

    def candidates(self, maps: Sequence[Floats], options: Options) -> Candidates:
        """Candidates above the confidence threshold.

        `maps`: per stride (1, 4 * reg_max + classes, rows, columns), before softmax and sigmoid.
        """
        threshold = _logit(options.confidence)
        bins = np.arange(self.reg_max, dtype=np.float32)
        boxes, scores = [], []
        for stride, raw in zip(self.strides, maps, strict=True):
            grid = raw[0]
            y, x = np.nonzero(grid[4 * self.reg_max :].max(axis=0) > threshold)
            passed = grid[:, y, x].T
            sides = passed[:, : 4 * self.reg_max].reshape(-1, 4, self.reg_max)
            distances = _softmax(sides) @ bins
            cell = np.stack((x, y), axis=1).astype(np.float32) + np.float32(0.5)
            corners = np.concatenate((cell - distances[:, :2], cell + distances[:, 2:]), axis=1)
            boxes.append(corners * np.float32(stride))
            scores.append(_sigmoid(passed[:, 4 * self.reg_max :]))
        return _choose(np.concatenate(boxes), np.concatenate(scores), options)


def _choose(boxes: Floats, scores: Floats, options: Options) -> Candidates:
    """Candidates of rows with boxes (N, 4) xyxy and confidences per class (N, classes).

    The best class of each row, or with multi_label every class, that is > the threshold and asked for.
    """
    threshold = np.float32(options.confidence)
    if options.multi_label:
        rows, class_ids = np.nonzero(scores > threshold)
    else:
        class_ids = scores.argmax(axis=1)
        rows = np.arange(len(scores))
    confidences = scores[rows, class_ids]
    wanted = confidences > threshold
    if options.classes is not None:
        wanted &= np.isin(class_ids, options.classes)
    return Candidates(boxes[rows[wanted]], confidences[wanted], class_ids[wanted].astype(np.int64))


def _logit(confidence: float) -> np.float32:
    """The logit of a confidence, a little lowered."""
    probability = confidence - MARGIN
    if probability <= 0:
        return np.float32(-np.inf)
    return np.float32(math.log(probability / (1 - probability)))


def _sigmoid(values: Floats) -> Floats:
    # exp of a large positive argument overflows to inf, and 1 / inf is the right 0.
    with np.errstate(over="ignore"):
        return np.float32(1) / (np.float32(1) + np.exp(-values))


def _softmax(values: Floats) -> Floats:
    """Softmax over the last axis."""
    powers: Floats = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
