"""The engines that run the network: OpenVINO on CPUs; torch on CUDA, and on CPUs that OpenVINO does not support."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .cores import available_cores
from .model_description import ModelDescription

Pixels = NDArray[np.uint8]
Maps = Sequence[NDArray[np.float32]]

MAX_BATCH = 64  # images in one call; a torch program is exported for no more


class Engine(Protocol):
    """Runs one network.

    lanes: number of threads that should decode images and suppress candidates. batches: True if images of one shape
    should be passed in one call of `infer`; False if each thread should call it with one image.
    """

    name: str
    lanes: int
    batches: bool

    def infer(self, pixels: Pixels, alone: bool) -> Maps:
        """The network's maps, each (N, C, rows, columns), of letterboxed RGB pixels (N, H, W, 3) in 0..255.

        alone: no other thread calls at the same time, so this call may use all cores. The maps are valid until the
        same thread calls again.
        """
        ...


class OpenVINOEngine:
    """OpenVINO IR on the CPU, on at most `threads` cores and for at most `lanes` images at once.

    bf16: compute in bfloat16 if the CPU supports it, else in float32.
    """

    name = "openvino"
    batches = False

    def __init__(self, model: Path, threads: int, lanes: int, bf16: bool = False) -> None:
        import openvino

        core = openvino.Core()
        # Without the hint, CPUs that support bfloat16 use it for every network.
        hint = "bf16" if bf16 else "f32"
        settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
        network = core.read_model(model)
        self.lanes = min(threads, lanes)
        # strategy: a single image gets all cores, the images of a batch get one core each.
        self._alone = core.compile_model(network, "CPU", {**settings, "NUM_STREAMS": 1})
        self._parallel = self._alone
        if self.lanes > 1:
            parallel = {"NUM_STREAMS": self.lanes, "INFERENCE_NUM_THREADS": self.lanes}
            self._parallel = core.compile_model(network, "CPU", {**settings, **parallel})
        self._requests = threading.local()

    def infer(self, pixels: Pixels, alone: bool) -> Maps:
        """See Engine."""
        mode = "alone" if alone else "parallel"
        request = getattr(self._requests, mode, None)
        if request is None:
            request = (self._alone if alone else self._parallel).create_infer_request()
            setattr(self._requests, mode, request)
        outputs = request.infer({0: pixels}, share_inputs=True, share_outputs=True)
        return [outputs[index] for index in range(len(outputs))]


class TorchEngine:
    """A torch program: on CUDA in float16, on the CPU in float32."""

    name = "torch"
    batches = True

    def __init__(self, model: Path, device: str, threads: int) -> None:
        import torch

        self.lanes = threads
        self._torch = torch
        self._device = torch.device(device)
        self._dtype = torch.float16 if self._device.type == "cuda" else torch.float32
        if self._device.type == "cpu":
            torch.set_num_threads(threads)
        # The guards that torch infers from its example input refuse sizes that the program computes correctly.
        program = torch.export.load(model).module(check_guards=False)
        self._module = program.to(self._device, self._dtype)

    def infer(self, pixels: Pixels, alone: bool) -> Maps:  # noqa: ARG002 - always uses the whole device
        """See Engine."""
        torch = self._torch
        with torch.inference_mode():
            # torch warns about read-only arrays, and a decoder may return one.
            writable = pixels if pixels.flags.writeable else pixels.copy()
            # The device gets uint8, a quarter of the bytes of float32.
            batch = torch.from_numpy(writable).to(self._device).permute(0, 3, 1, 2).to(self._dtype) / 255
            maps = self._module(batch.contiguous())
        return [raw.float().cpu().numpy() for raw in maps]


def load_engine(folder: Path, description: ModelDescription, device: str, batch_size: int) -> Engine:
    """The engine of the network in the unpacked archive `folder`, on all available cores."""
    threads = available_cores()
    if description.engine == "openvino":
        return OpenVINOEngine(folder / "model.xml", threads, batch_size, bf16=description.precision == "bf16")
    if description.engine == "torch":
        return TorchEngine(folder / "model.pt2", device, threads)
    raise ValueError(f"model.json asks for the engine {description.engine!r}; expected 'openvino' or 'torch'")
