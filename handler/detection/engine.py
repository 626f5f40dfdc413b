"""What runs the network: OpenVINO on CPUs, torch on CUDA and where there is no OpenVINO."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .cores import available_cores
from .model_description import Description

Pixels = NDArray[np.uint8]
Maps = Sequence[NDArray[np.float32]]

MAX_BATCH = 64  # as many as a torch program takes


class Engine(Protocol):
    """Runs one network.

    `lanes` is how many threads may usefully prepare and finish pictures. `batches` says whether they call `infer` for
    themselves, each with one picture, or whether pictures of one shape should come together in one call.
    """

    name: str
    lanes: int
    batches: bool

    def infer(self, pixels: Pixels, alone: bool) -> Maps:
        """The network's maps, each (N, C, rows, columns), of letterboxed RGB pixels (N, H, W, 3).

        `alone` says that no other thread calls at the same time, so that all cores may serve this call. The maps
        are valid until the same thread calls again.
        """
        ...


class OpenVINOEngine:
    """The network as OpenVINO IR on the CPU, on at most `threads` cores and for at most `lanes` pictures at once.

    `bf16` lets the CPU compute in bfloat16 where it can; it uses float32 where it cannot.
    """

    name = "openvino"
    batches = False

    def __init__(self, model: Path, threads: int, lanes: int, bf16: bool = False) -> None:
        import openvino

        core = openvino.Core()
        # Unless told not to, CPUs that have bfloat16 would take it for every network.
        hint = "bf16" if bf16 else "f32"
        common = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
        network = core.read_model(model)
        self.lanes = min(threads, lanes)
        # strategy: a lone picture gets all cores, the pictures of a batch get one core each.
        self._alone = core.compile_model(network, "CPU", {**common, "NUM_STREAMS": 1})
        self._beside = self._alone
        if self.lanes > 1:
            beside = {"NUM_STREAMS": self.lanes, "INFERENCE_NUM_THREADS": self.lanes}
            self._beside = core.compile_model(network, "CPU", {**common, **beside})
        self._requests = threading.local()

    def infer(self, pixels: Pixels, alone: bool) -> Maps:
        """See Engine."""
        kind = "alone" if alone else "beside"
        request = getattr(self._requests, kind, None)
        if request is None:
            request = (self._alone if alone else self._beside).create_infer_request()
            setattr(self._requests, kind, request)
        outputs = request.infer({0: pixels}, share_inputs=True, share_outputs=True)
        return [outputs[index] for index in range(len(outputs))]


class TorchEngine:
    """The network as a torch program, on CUDA in half precision or on the CPU in single."""

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
        # The guards that torch infers from its example refuse sizes that the program computes correctly.
        program = torch.export.load(model).module(check_guards=False)
        self._module = program.to(self._device, self._dtype)

    def infer(self, pixels: Pixels, alone: bool) -> Maps:  # noqa: ARG002 - all of the device in any case
        """See Engine."""
        torch = self._torch
        with torch.inference_mode():
            # torch warns of arrays that cannot be written, which a decoder's may be.
            writable = pixels if pixels.flags.writeable else pixels.copy()
            # Bytes travel to the device, a quarter of what floats would be.
            batch = torch.from_numpy(writable).to(self._device).permute(0, 3, 1, 2).to(self._dtype) / 255
            maps = self._module(batch.contiguous())
        return [raw.float().cpu().numpy() for raw in maps]


def load_engine(folder: Path, network: Description, device: str, batch_size: int) -> Engine:
    """The engine that `network` asks for, with its program in the unpacked archive `folder`, on all cores of ours."""
    threads = available_cores()
    if network.engine == "openvino":
        return OpenVINOEngine(folder / "model.xml", threads, batch_size, bf16=network.precision == "bf16")
    if network.engine == "torch":
        return TorchEngine(folder / "model.pt2", device, threads)
    raise ValueError(f"model.json asks for the engine {network.engine!r}; expected 'openvino' or 'torch'")
