"""Exports networks as program files of an engine; the bytes are the same on every run."""

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

MAX_SIDE = 2048  # largest height and width of a torch program's input, pixels


def export_openvino(
    network: torch.nn.Module, output_names: Sequence[str], strides: Sequence[int], folder: Path
) -> tuple[Path, Path]:
    """Write model.xml and model.bin: uint8 (N, H, W, 3) RGB -> float32 NCHW maps, named `output_names`."""
    os.environ.setdefault("OPENVINO_TELEMETRY", "NO")
    import openvino
    from openvino.frontend import OpConversionFailure

    side = 4 * max(strides)
    try:
        # strategy: the PyTorch frontend converts SiLU to one Swish node, which the CPU plugin fuses into convolutions.
        model = openvino.convert_model(network, example_input=torch.zeros(1, 3, side, side), input=[-1, 3, -1, -1])
        model = _with_uint8_input(model)
        return save_program(model, output_names, folder)
    except (RuntimeError, OpConversionFailure) as error:
        _raise_if_full(network, folder)
        reason = " ".join(str(error).split())[-200:]
        raise ExportError(f"OpenVINO could not convert the network: {reason}") from error


def save_program(model: Any, output_names: Sequence[str], folder: Path) -> tuple[Path, Path]:
    """Write an OpenVINO model as model.xml and model.bin. The bytes do not depend on earlier models of the process."""
    import openvino

    _rename(model, output_names)
    program = folder / "model.xml"
    openvino.save_model(model, program, compress_to_fp16=False)
    return program, program.with_suffix(".bin")


def export_torch(network: torch.nn.Module, strides: Sequence[int], folder: Path) -> tuple[Path]:
    """Write model.pt2: float images (N, 3, H, W) RGB in 0..1 -> a tuple of maps NCHW.

    Load it with `torch.export.load(path).module(check_guards=False)`: torch's guards reject images that are one
    stride high or wide, although the program computes them correctly.
    """
    step = max(strides)
    batch = Dim("batch", min=1, max=MAX_BATCH)
    rows, columns = (Dim(name, min=1, max=MAX_SIDE // step) for name in ("rows", "columns"))
    # torch treats sizes of 0 and 1 as constants, so no map of the example may have such a size.
    example = torch.zeros(2, 3, 3 * step, 4 * step)
    program = torch.export.export(network, (example,), dynamic_shapes=({0: batch, 2: step * rows, 3: step * columns},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # contains paths of this machine
    program.example_inputs = None
    # The order of the size ranges differs between runs.
    ranges = sorted(program.range_constraints.items(), key=lambda item: str(item[0]))
    program.range_constraints.clear()
    program.range_constraints.update(ranges)
    # Written to memory first: torch aborts the process if the disk is full.
    content = io.BytesIO()
    torch.export.save(program, content)
    path = folder / "model.pt2"
    path.write_bytes(content.getbuffer())
    return (path,)


def _with_uint8_input(model: Any) -> Any:
    """The model with an input of uint8 NHWC pixels, which it converts to NCHW in 0..1."""
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor

    wrapped = PrePostProcessor(model)
    image = wrapped.input(0)
    image.tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    image.model().set_layout(Layout("NCHW"))
    image.preprocess().convert_element_type(Type.f32).scale(255.0)
    return wrapped.build()


def _rename(model: Any, output_names: Sequence[str]) -> None:
    """Name the nodes by their index: OpenVINO's names contain a counter of the whole process."""
    model.set_friendly_name("network")
    for index, node in enumerate(model.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{index}")
        for output in node.outputs():
            output.get_tensor().set_names(set())
    model.input().get_tensor().set_names({"image"})
    for name, output in zip(output_names, model.outputs, strict=True):
        output.get_tensor().set_names({name})


def _raise_if_full(network: torch.nn.Module, folder: Path) -> None:
    """Raise OSError if the disk is full, which OpenVINO reports only as an "iostream error"."""
    size = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
