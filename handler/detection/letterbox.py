"""The letterbox: it fits an image of any size into the network's input, and maps boxes back to the image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

GREY = 114  # the padding that YOLOv5 was trained with


@dataclass(frozen=True)
class Letterbox:
    """Scale and padding of one image. Sizes in pixels; padding is (top, left)."""

    image_hw: tuple[int, int]
    input_hw: tuple[int, int]
    resized_hw: tuple[int, int]
    scale: float
    padding: tuple[int, int]

    @classmethod
    def fit(cls, image_hw: tuple[int, int], image_size: int, stride: int) -> Letterbox:
        """The letterbox of one image, as the reference's hub model computes it.

        The image is scaled, down or up, so that its longer side is `image_size`. Then both sides are padded to a
        multiple of `stride`, half on each end: (1080, 810) becomes (640, 480).
        """
        height, width = image_hw
        fraction = image_size / max(image_hw)
        input_h, input_w = (max(math.ceil(int(side * fraction) / stride), 1) * stride for side in image_hw)
        scale = min(input_h / height, input_w / width)
        # Without max, an image of 1 x 4000 would be resized to 0 rows.
        resized_h, resized_w = max(round(height * scale), 1), max(round(width * scale), 1)
        padding = round((input_h - resized_h) / 2 - 0.1), round((input_w - resized_w) / 2 - 0.1)
        return cls(image_hw, (input_h, input_w), (resized_h, resized_w), scale, padding)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image (H, W, 3) RGB uint8, resized and padded to (*input_hw, 3)."""
        resized_h, resized_w = self.resized_hw
        if self.image_hw != self.resized_hw:
            image = np.asarray(cv2.resize(image, (resized_w, resized_h), interpolation=cv2.INTER_LINEAR), np.uint8)
        if self.resized_hw == self.input_hw:
            return np.ascontiguousarray(image)
        top, left = self.padding
        padded = np.full((*self.input_hw, 3), GREY, np.uint8)
        padded[top : top + resized_h, left : left + resized_w] = image
        return padded

    def invert(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (N, 4) xyxy in pixels of the input -> in pixels of the image, clipped to the image.

        As in the reference, the padding is fractional here, while `apply` pads by whole pixels.
        """
        height, width = self.image_hw
        pad_x = (self.input_hw[1] - width * self.scale) / 2
        pad_y = (self.input_hw[0] - height * self.scale) / 2
        padding = np.array([pad_x, pad_y, pad_x, pad_y], np.float32)
        original = (boxes - padding) / np.float32(self.scale)
        limits = np.array([width, height, width, height], np.float32)
        return np.asarray(np.clip(original, np.float32(0), limits), np.float32)
