"""Detects objects in images. The result of an image does not depend on the other images of its batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .engine import MAX_BATCH, Engine, Maps
from .head import AnchorFreeHead, AnchorHead
from .image import decode_image
from .letterbox import Letterbox
from .options import Options
from .records import Detections, Task, Timings
from .suppression import suppress

T = TypeVar("T")
WARM_UP_BATCH = 4


@dataclass(frozen=True)
class _Input:
    """A task with its letterboxed pixels (H, W, 3) RGB uint8."""

    options: Options
    letterbox: Letterbox
    pixels: NDArray[np.uint8]
    decode_seconds: float
    letterbox_seconds: float


@dataclass(frozen=True)
class _Output:
    """The network's maps (1, C, rows, columns) of one image."""

    maps: Maps
    seconds: float


class Detector:
    """An engine, its head, and the steps before and after them."""

    def __init__(self, engine: Engine, head: AnchorHead | AnchorFreeHead, max_pixels: int) -> None:
        self._engine = engine
        self._head = head
        self._max_pixels = max_pixels
        self._pool = ThreadPoolExecutor(engine.lanes, thread_name_prefix="lane")

    def detect(self, tasks: Sequence[Task]) -> list[Detections | Exception]:
        """The detections of each task in order, or the task's own error."""
        if len(tasks) == 1:
            return [_attempt(self._detect_one, tasks[0], True)]
        if self._engine.batches:
            inputs = list(self._pool.map(partial(_attempt, self._prepare), tasks))
            return list(self._pool.map(partial(_attempt, self._finish), inputs, self._infer_all(inputs)))
        # strategy: one thread runs all steps of an image, so the network runs on one image while another is decoded or
        # suppressed, and images of different shapes need no padding.
        return list(self._pool.map(lambda task: _attempt(self._detect_one, task, False), tasks))

    def warm_up(self, options: Options) -> None:
        """Run the network once as for a single image and once as for a batch: the first run is the slowest."""
        size = options.image_size
        blank = Letterbox.fit((size, size), size, max(self._head.strides)).apply(np.zeros((size, size, 3), np.uint8))
        self._engine.infer(blank[None], alone=True)
        if self._engine.batches:
            self._engine.infer(np.stack([blank] * WARM_UP_BATCH), alone=False)
        else:
            list(self._pool.map(lambda _: self._engine.infer(blank[None], alone=False), range(self._engine.lanes)))

    def _detect_one(self, task: Task, alone: bool) -> Detections:
        prepared = self._prepare(task)
        started = time.perf_counter()
        maps = self._engine.infer(prepared.pixels[None], alone)
        return self._finish(prepared, _Output(maps, time.perf_counter() - started))

    def _prepare(self, task: Task) -> _Input:
        started = time.perf_counter()
        image = decode_image(task.data, self._max_pixels)
        decoded = time.perf_counter()
        letterbox = Letterbox.fit(image.shape[:2], task.options.image_size, max(self._head.strides))
        pixels = letterbox.apply(image)
        return _Input(task.options, letterbox, pixels, decoded - started, time.perf_counter() - decoded)

    def _infer_all(self, inputs: Sequence[_Input | Exception]) -> list[_Output | Exception]:
        """The network's outputs. Images of one shape share a call; an input that is an error stays that error."""
        outputs: dict[int, _Output | Exception] = {}
        indices_by_shape: dict[tuple[int, ...], list[int]] = {}
        for index, prepared in enumerate(inputs):
            if isinstance(prepared, Exception):
                outputs[index] = prepared
            else:
                indices_by_shape.setdefault(prepared.pixels.shape, []).append(index)
        for indices in indices_by_shape.values():
            for first in range(0, len(indices), MAX_BATCH):
                chunk = indices[first : first + MAX_BATCH]
                batch = _attempt(self._infer_batch, [inputs[index] for index in chunk])
                for row, index in enumerate(chunk):
                    outputs[index] = batch if isinstance(batch, Exception) else batch[row]
        return [outputs[index] for index in range(len(inputs))]

    def _infer_batch(self, inputs: Sequence[_Input]) -> list[_Output]:
        """One call of the network for images of one shape. Each output states the time of the whole call."""
        started = time.perf_counter()
        maps = self._engine.infer(np.stack([prepared.pixels for prepared in inputs]), alone=False)
        seconds = time.perf_counter() - started
        return [_Output([batched[row : row + 1] for batched in maps], seconds) for row in range(len(inputs))]

    def _finish(self, prepared: _Input, output: _Output) -> Detections:
        started = time.perf_counter()
        options, letterbox = prepared.options, prepared.letterbox
        candidates = self._head.candidates(output.maps, options)
        kept = suppress(candidates, options.iou, options.max_detections, options.agnostic)
        boxes = letterbox.invert(kept.boxes)
        timings = Timings(
            prepared.decode_seconds, prepared.letterbox_seconds, output.seconds, time.perf_counter() - started
        )
        return Detections(letterbox.image_hw, boxes, kept.confidences, kept.class_ids, timings)


def _attempt(step: Callable[..., T], *arguments: object) -> T | Exception:
    """The result of a step, or its error, or the first of the arguments that is an error of an earlier step."""
    for argument in arguments:
        if isinstance(argument, Exception):
            return argument
    try:
        return step(*arguments)
    except Exception as error:  # any error of one image must not fail the others
        return error
