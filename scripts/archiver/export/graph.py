"""Networks -> program files of an engine, byte for byte the same on every run."""

import errno
import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim

from detection.engine import MAX_BATCH

from ..errors import ExportError

MAX_SIDE = 2048
"""Largest height and width that a torch program takes."""


def export_openvino(
    network: torch.nn.Module, outputs: Sequence[str], strides: Sequence[int], folder: Path
) -> tuple[Path, Path]:
    """Write model.xml and model.bin: uint8 (N, H, W, 3) RGB -> float32 NCHW maps, called `outputs`."""
    os.environ.setdefault("OPENVINO_TELEMETRY", "NO")
    import openvino
    from openvino.frontend import OpConversionFailure

    side = 4 * max(strides)
    try:
        # strategy: the PyTorch frontend keeps SiLU whole, as Swish, and the CPU plugin fuses that into convolutions.
        model = openvino.convert_model(network, example_input=torch.zeros(1, 3, side, side), input=[-1, 3, -1, -1])
        model = _with_uint8_input(model)
        return save_program(model, outputs, folder)
    except (RuntimeError, OpConversionFailure) as error:
        _raise_if_full(network, folder)
        reason = " ".join(str(error).split())[-200:]
        raise ExportError(f"OpenVINO could not take the network: {reason}") from error


def save_program(model: Any, outputs: Sequence[str], folder: Path) -> tuple[Path, Path]:
    """Write an OpenVINO model as model.xml and model.bin, the same bytes whatever was built before it."""
    import openvino

    _rename(model, outputs)
    program = folder / "model.xml"
    openvino.save_model(model, program, compress_to_fp16=False)
    return program, program.with_suffix(".bin")


def export_torch(network: torch.nn.Module, strides: Sequence[int], folder: Path) -> tuple[Path]:
    """Write model.pt2: float images (N, 3, H, W) RGB in 0..1 -> a tuple of maps NCHW.

    Load it with `torch.export.load(path).module(check_guards=False)`: the guards that torch infers refuse images one
    stride high or wide, though the program computes them correctly.
    """
    step = max(strides)
    batch = Dim("batch", min=1, max=MAX_BATCH)
    rows, columns = (Dim(name, min=1, max=MAX_SIDE // step) for name in ("rows", "columns"))
    # torch takes sizes of 0 and 1 for constants, so that the example must have none, also on its smallest map.
    example = torch.zeros(2, 3, 3 * step, 4 * step)
    program = torch.export.export(network, (example,), dynamic_shapes=({0: batch, 2: step * rows, 3: step * columns},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # Paths of this machine.
    program.example_inputs = None
    # torch lists the ranges of sizes in an order that differs from run to run.
    ranges = sorted(program.range_constraints.items(), key=lambda item: str(item[0]))
    program.range_constraints.clear()
    program.range_constraints.update(ranges)
    # By way of memory: torch aborts the process when a disk fills under its own writer.
    content = io.BytesIO()
    torch.export.save(program, content)
    path = folder / "model.pt2"
    path.write_bytes(content.getbuffer())
    return (path,)


def _with_uint8_input(model: Any) -> Any:
    """The model with the step from bytes, rows of pixels, to 0..1, planes, inside it."""
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor

    wrapped = PrePostProcessor(model)
    image = wrapped.input(0)
    image.tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    image.model().set_layout(Layout("NCHW"))
    image.preprocess().convert_element_type(Type.f32).scale(255.0)
    return wrapped.build()


def _rename(model: Any, outputs: Sequence[str]) -> None:
    """Give nodes names that count from 0: OpenVINO's own count on through the life of a process."""
    model.set_friendly_name("network")
    for index, node in enumerate(model.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{index}")
        for output in node.outputs():
            output.get_tensor().set_names(set())
    model.input().get_tensor().set_names({"image"})
    for name, output in zip(outputs, model.outputs, strict=True):
        output.get_tensor().set_names({name})


def _raise_if_full(network: torch.nn.Module, folder: Path) -> None:
    """OpenVINO calls a full disk an "iostream error"; say what it is."""
    size = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
