"""From one picture's bytes to its detections, and from many at once, each as if it were alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .engine import Engine
from .head import AnchorFreeHead, AnchorHead
from .image import decode_image
from .letterbox import Letterbox
from .options import Options
from .suppression import suppress


@dataclass(frozen=True)
class Timings:
    """Seconds that each step took."""

    decode: float
    letterbox: float
    inference: float
    suppression: float


@dataclass(frozen=True)
class Detections:
    """What was found in one picture, highest confidence first.

    boxes (N, 4) xyxy in the picture's pixels, confidences (N,) in 0..1, class_ids (N,).
    """

    image_hw: tuple[int, int]
    boxes: NDArray[np.float32]
    confidences: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    timings: Timings


@dataclass(frozen=True)
class Task:
    """One picture to look at, and how."""

    data: bytes | bytearray
    options: Options


class Detector:
    """A network with its head and the steps around it."""

    def __init__(self, engine: Engine, head: AnchorHead | AnchorFreeHead, max_pixels: int) -> None:
        self._engine = engine
        self._head = head
        self._max_pixels = max_pixels
        self._pool = ThreadPoolExecutor(engine.lanes, thread_name_prefix="lane")

    def detect(self, tasks: Sequence[Task]) -> list[Detections | Exception]:
        """Detections of each task in order, or what went wrong with it; no task touches another's answer."""
        # strategy: every picture walks through all steps on one thread, so while one is in the network another is
        # decoded or suppressed, and each keeps its own shape.
        alone = len(tasks) == 1
        if alone:
            return [self._attempt(tasks[0], alone)]
        return list(self._pool.map(lambda task: self._attempt(task, alone), tasks))

    def warm_up(self, options: Options) -> None:
        """Run every lane once, so that no client waits for what happens only the first time."""
        size = options.image_size
        blank = Letterbox.fit((size, size), size, max(self._head.strides)).apply(np.zeros((size, size, 3), np.uint8))
        self._engine.infer(blank, alone=True)
        list(self._pool.map(lambda _: self._engine.infer(blank, alone=False), range(self._engine.lanes)))

    def _attempt(self, task: Task, alone: bool) -> Detections | Exception:
        try:
            return self._look(task, alone)
        except Exception as error:  # whatever is wrong with one picture must not fail the rest of the batch
            return error

    def _look(self, task: Task, alone: bool) -> Detections:
        clock = [time.perf_counter()]
        image = decode_image(task.data, self._max_pixels)
        clock.append(time.perf_counter())
        letterbox = Letterbox.fit(image.shape[:2], task.options.image_size, max(self._head.strides))
        pixels = letterbox.apply(image)
        clock.append(time.perf_counter())
        maps = self._engine.infer(pixels, alone)
        clock.append(time.perf_counter())
        candidates = self._head.candidates(maps, task.options)
        kept = suppress(candidates, task.options.iou, task.options.max_detections, task.options.agnostic)
        boxes = letterbox.invert(kept.boxes)
        clock.append(time.perf_counter())
        steps = [after - before for before, after in pairwise(clock)]
        return Detections(image.shape[:2], boxes, kept.confidences, kept.class_ids, Timings(*steps))
