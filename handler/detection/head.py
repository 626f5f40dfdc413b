"""The heads: they decode the network's maps into candidates. Only cells above the threshold are decoded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .model_description import REBUILD_HINT, ModelDescription
from .options import Options
from .suppression import Candidates

Floats = NDArray[np.float32]

HEAD_FILE = "head.npz"
# The first comparison, of logits, is this much below the threshold, so that an engine's rounding loses no candidate.
# The exact comparison of confidences follows.
LOGIT_MARGIN = 0.01


@dataclass(frozen=True)
class AnchorHead:
    """The head of YOLOv5: per cell and anchor a box, an objectness and a score per class.

    Per stride: `anchors`, (width, height) in input pixels; `weights` (anchors, 5 + classes, channels) and `biases`
    (anchors, 5 + classes) of the head's 1 x 1 convolution.
    """

    strides: tuple[int, ...]
    anchors: tuple[tuple[tuple[float, float], ...], ...]
    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    @classmethod
    def load(
        cls, path: Path, strides: tuple[int, ...], anchors: tuple[tuple[tuple[float, float], ...], ...]
    ) -> AnchorHead:
        """The head with the weights in the .npz file `path`."""
        with np.load(path, allow_pickle=False) as arrays:
            weights, biases = (
                tuple(arrays[f"{kind}{index}"] for index in range(len(strides))) for kind in ("weight", "bias")
            )
        return cls(strides, anchors, weights, biases)

    def candidates(self, maps: Sequence[Floats], options: Options) -> Candidates:
        """Candidates above the confidence threshold.

        `maps`: for each stride the objectness logits (1, anchors, rows, columns) and the features
        (1, channels, rows, columns). Decoding is that of YOLOv5 v6: xy = (2 s - 0.5 + cell) * stride,
        wh = (2 s)^2 * anchor, s the sigmoid.
        """
        # strategy: confidence = objectness * class score <= objectness, and the sigmoid is monotonic. So one
        # comparison of objectness logits selects the few hundred cells that need the head's convolution.
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
        return _select(np.concatenate(boxes), np.concatenate(scores), options)


@dataclass(frozen=True)
class AnchorFreeHead:
    """The head of YOLOv5u: per cell a score per class and four distributions of the distance to the box's sides.

    A distance is the mean of its distribution over the bins 0, 1, ... `reg_max` - 1, in units of the stride.
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
        return _select(np.concatenate(boxes), np.concatenate(scores), options)


def load_head(folder: Path, description: ModelDescription) -> AnchorHead | AnchorFreeHead:
    """The head of the network in the unpacked archive `folder`."""
    if description.anchors is not None:
        return AnchorHead.load(folder / HEAD_FILE, description.strides, description.anchors)
    if description.reg_max is None:
        raise ValueError(f"model.json has neither anchors nor reg_max: {REBUILD_HINT}")
    return AnchorFreeHead(description.strides, description.reg_max)


def _select(boxes: Floats, scores: Floats, options: Options) -> Candidates:
    """Candidates of boxes (N, 4) xyxy with confidences per class (N, classes).

    A row gives its best class, or with multi_label every class, if its confidence is above the threshold and it is one
    of the requested classes.
    """
    threshold = np.float32(options.confidence)
    if options.multi_label:
        rows, class_ids = np.nonzero(scores > threshold)
    else:
        class_ids = scores.argmax(axis=1)
        rows = np.arange(len(scores))
    confidences = scores[rows, class_ids]
    selected = confidences > threshold
    if options.classes is not None:
        selected &= np.isin(class_ids, options.classes)
    return Candidates(boxes[rows[selected]], confidences[selected], class_ids[selected].astype(np.int64))


def _logit(confidence: float) -> np.float32:
    """The logit of a confidence, less LOGIT_MARGIN."""
    if confidence <= 0:
        return np.float32(-np.inf)
    probability = min(confidence, 1 - 1e-7)
    return np.float32(math.log(probability / (1 - probability)) - LOGIT_MARGIN)


def _sigmoid(values: Floats) -> Floats:
    # exp of a large argument overflows to inf, and 1 / inf is 0, which is right.
    with np.errstate(over="ignore"):
        return np.float32(1) / (np.float32(1) + np.exp(-values))


def _softmax(values: Floats) -> Floats:
    """Softmax over the last axis."""
    powers: Floats = np.exp(values - values.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
