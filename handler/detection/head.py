"""From the network's raw maps to candidates: threshold first, decode only what passed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .options import Options
from .suppression import Candidates

Floats = NDArray[np.float32]

# The comparison of logits lets this much more pass, in logits, so that no rounding of an engine loses anything; the
# exact test of confidence comes after it.
MARGIN = 0.01


@dataclass(frozen=True)
class AnchorHead:
    """YOLOv5's own head: per cell and anchor a box, an objectness and a score per class.

    Per stride: `anchors`, (width, height) in input pixels; `weights` (anchors, 5 + classes, channels) and `biases`
    (anchors, 5 + classes) of the head's convolution, which is 1 x 1.
    """

    strides: tuple[int, ...]
    anchors: tuple[tuple[tuple[float, float], ...], ...]
    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    @classmethod
    def load(
        cls, path: Path, strides: tuple[int, ...], anchors: tuple[tuple[tuple[float, float], ...], ...]
    ) -> AnchorHead:
        """The head whose weights stand in the .npz file `path`."""
        with np.load(path, allow_pickle=False) as arrays:
            weights, biases = (
                tuple(arrays[f"{kind}{index}"] for index in range(len(strides))) for kind in ("weight", "bias")
            )
        return cls(strides, anchors, weights, biases)

    def candidates(self, maps: Sequence[Floats], options: Options) -> Candidates:
        """Candidates above the confidence threshold.

        `maps`: for each stride the objectness (1, anchors, rows, columns), before the sigmoid, and the features
        (1, channels, rows, columns). Decoding is that of YOLOv5 v6: xy = (2 s - 0.5 + cell) * stride,
        wh = (2 s)^2 * anchor, s the sigmoid.
        """
        # strategy: confidence = objectness * class score <= objectness, and the sigmoid is monotonic. So one
        # comparison of raw objectness leaves the few hundred cells that are worth the head's convolution at all.
        threshold = _logit(options.confidence)
        boxes, scores = [], []
        levels = zip(self.strides, self.anchors, self.weights, self.biases, maps[0::2], maps[1::2], strict=True)
        for stride, anchors, weights, biases, objectness, features in levels:
            for index, size in enumerate(anchors):
                y, x = np.nonzero(objectness[0, index] > threshold)
                passed = _sigmoid(features[0][:, y, x].T @ weights[index].T + biases[index])
                cell = np.stack((x, y), axis=1).astype(np.float32) - np.float32(0.5)
                centre = (passed[:, 0:2] * 2 + cell) * np.float32(stride)
                half = (passed[:, 2:4] * 2) ** 2 * np.array(size, np.float32) / 2
                boxes.append(np.concatenate((centre - half, centre + half), axis=1))
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
    if confidence <= 0:
        return np.float32(-np.inf)
    probability = min(confidence, 1 - 1e-7)
    return np.float32(math.log(probability / (1 - probability)) - MARGIN)


def _sigmoid(values: Floats) -> Floats:
    # exp of a large positive argument overflows to inf, and 1 / inf is the right 0.
    with np.errstate(over="ignore"):
        return np.float32(1) / (np.float32(1) + np.exp(-values))


def _softmax(values: Floats) -> Floats:
    """Softmax over the last axis."""
    powers: Floats = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
