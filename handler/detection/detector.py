"""From one picture's bytes to its detections, and from many at once, each as if it were alone."""

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
from .suppression import suppress

T = TypeVar("T")


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


@dataclass(frozen=True)
class _Prepared:
    """A task whose picture is ready for the network: pixels (H, W, 3)."""

    options: Options
    letterbox: Letterbox
    pixels: NDArray[np.uint8]
    decode_seconds: float
    letterbox_seconds: float


@dataclass(frozen=True)
class _Inferred:
    """What the network gave for one picture: maps (1, C, rows, columns)."""

    maps: Maps
    seconds: float


class Detector:
    """A network with its head and the steps around it."""

    def __init__(self, engine: Engine, head: AnchorHead | AnchorFreeHead, max_pixels: int) -> None:
        self._engine = engine
        self._head = head
        self._max_pixels = max_pixels
        self._pool = ThreadPoolExecutor(engine.lanes, thread_name_prefix="lane")

    def detect(self, tasks: Sequence[Task]) -> list[Detections | Exception]:
        """Detections of each task in order, or what went wrong with it; no task touches another's answer."""
        if len(tasks) == 1:
            return [_attempt(self._look, tasks[0], True)]
        if self._engine.batches:
            prepared = list(self._pool.map(partial(_attempt, self._prepare), tasks))
            return list(self._pool.map(partial(_attempt, self._finish), prepared, self._infer_together(prepared)))
        # strategy: every picture walks through all steps on one thread, so while one is in the network another is
        # decoded or suppressed, and each keeps its own shape.
        return list(self._pool.map(lambda task: _attempt(self._look, task, False), tasks))

    def warm_up(self, options: Options) -> None:
        """Run the network once as for a lone picture and once as for many, so that no client waits for the first."""
        size = options.image_size
        blank = Letterbox.fit((size, size), size, max(self._head.strides)).apply(np.zeros((size, size, 3), np.uint8))
        self._engine.infer(blank[None], alone=True)
        if self._engine.batches:
            self._engine.infer(np.stack([blank] * 4), alone=False)
        else:
            list(self._pool.map(lambda _: self._engine.infer(blank[None], alone=False), range(self._engine.lanes)))

    def _look(self, task: Task, alone: bool) -> Detections:
        """All steps of one picture."""
        prepared = self._prepare(task)
        started = time.perf_counter()
        maps = self._engine.infer(prepared.pixels[None], alone)
        return self._finish(prepared, _Inferred(maps, time.perf_counter() - started))

    def _prepare(self, task: Task) -> _Prepared:
        started = time.perf_counter()
        image = decode_image(task.data, self._max_pixels)
        decoded = time.perf_counter()
        letterbox = Letterbox.fit(image.shape[:2], task.options.image_size, max(self._head.strides))
        pixels = letterbox.apply(image)
        return _Prepared(task.options, letterbox, pixels, decoded - started, time.perf_counter() - decoded)

    def _infer_together(self, prepared: Sequence[_Prepared | Exception]) -> list[_Inferred | Exception]:
        """The network's answers, with pictures of one shape in one call; those that failed before stay as they are."""
        answers: dict[int, _Inferred | Exception] = {}
        shapes: dict[tuple[int, ...], list[int]] = {}
        for index, one in enumerate(prepared):
            if isinstance(one, Exception):
                answers[index] = one
            else:
                shapes.setdefault(one.pixels.shape, []).append(index)
        for members in shapes.values():
            for first in range(0, len(members), MAX_BATCH):
                chunk = members[first : first + MAX_BATCH]
                found = _attempt(self._infer_batch, [prepared[index] for index in chunk])
                for row, index in enumerate(chunk):
                    answers[index] = found if isinstance(found, Exception) else found[row]
        return [answers[index] for index in range(len(prepared))]

    def _infer_batch(self, prepared: Sequence[_Prepared]) -> list[_Inferred]:
        """One call of the network for pictures of one shape. Each waited for all of it."""
        started = time.perf_counter()
        maps = self._engine.infer(np.stack([one.pixels for one in prepared]), alone=False)
        seconds = time.perf_counter() - started
        return [_Inferred([each[row : row + 1] for each in maps], seconds) for row in range(len(prepared))]

    def _finish(self, prepared: _Prepared, inferred: _Inferred) -> Detections:
        started = time.perf_counter()
        options, letterbox = prepared.options, prepared.letterbox
        candidates = self._head.candidates(inferred.maps, options)
        kept = suppress(candidates, options.iou, options.max_detections, options.agnostic)
        boxes = letterbox.invert(kept.boxes)
        timings = Timings(
            prepared.decode_seconds, prepared.letterbox_seconds, inferred.seconds, time.perf_counter() - started
        )
        return Detections(letterbox.image_hw, boxes, kept.confidences, kept.class_ids, timings)


def _attempt(step: Callable[..., T], *arguments: object) -> T | Exception:
    """What a step returns, or what went wrong in it or before it, so that one picture never fails the rest."""
    for argument in arguments:
        if isinstance(argument, Exception):
            return argument
    try:
        return step(*arguments)
    except Exception as error:  # whatever it is, it is this picture's
        return error
