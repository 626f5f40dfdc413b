from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino
import pytest
import torch

from archiver.checkpoint.reader import Checkpoint, load_checkpoint
from archiver.errors import ExportError
from archiver.export.graph import export_openvino, export_torch
from archiver.export.split_head import SplitNetwork, split_head
from checkpoint_factory.checkpoints import build_anchor_free, build_checkpoint
from checkpoint_factory.random_weights import random_images
from conftest import weights

pytestmark = pytest.mark.usefixtures("one_torch_thread")

STRIDES = (8, 16, 32)
ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
SIZES_NHW = [(1, 480, 640), (1, 448, 640), (2, 640, 480), (8, 64, 96), (1, 32, 32), (3, 32, 160)]
SINGLE = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_checkpoint("n", tmp_path_factory.mktemp("weights") / "n.pt", ["cat", "dog"])


@pytest.fixture(scope="module")
def loaded(checkpoint: Path) -> Checkpoint:
    return load_checkpoint(checkpoint)


@pytest.fixture(scope="module")
def split(loaded: Checkpoint) -> SplitNetwork:
    return split_head(loaded.network, loaded.anchors)


@pytest.fixture(scope="module")
def openvino_files(split: SplitNetwork, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return export_openvino(split.network, split.output_names, STRIDES, tmp_path_factory.mktemp("openvino"))


@pytest.fixture(scope="module")
def torch_files(split: SplitNetwork, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path]:
    return export_torch(split.network, STRIDES, tmp_path_factory.mktemp("torch"))


def pixels_of(batch: int, height: int, width: int) -> np.ndarray:
    image = random_images(batch, max(height, width))[:, :, :height, :width]
    return (image * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def assert_same_maps(program: Path, split: SplitNetwork) -> None:
    """The outputs of the OpenVINO program for bytes are those of the torch network for floats."""
    compiled = openvino.Core().compile_model(program, "CPU", SINGLE)
    for size in SIZES_NHW:
        pixels = pixels_of(*size)
        with torch.inference_mode():
            expected = split.network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
        actual = compiled(pixels)
        assert len(actual) == len(expected)
        for name, expected_map in zip(split.output_names, expected, strict=True):
            np.testing.assert_allclose(actual[name], expected_map.numpy(), atol=1e-3, rtol=0)


def test_openvino_program_agrees_with_the_network(openvino_files: tuple[Path, Path], split: SplitNetwork) -> None:
    assert_same_maps(openvino_files[0], split)


def test_openvino_program_of_an_anchor_free_network_agrees(tmp_path: Path) -> None:
    loaded = load_checkpoint(build_anchor_free(tmp_path / "nu.pt", ["cat", "dog"]))
    split = split_head(loaded.network, loaded.anchors)
    assert_same_maps(export_openvino(split.network, split.output_names, STRIDES, tmp_path)[0], split)


@pytest.mark.parametrize("name", ["yolov5n", "waste-2class"])
def test_openvino_program_of_a_real_checkpoint_agrees(name: str, tmp_path: Path) -> None:
    loaded = load_checkpoint(weights(name))
    split = split_head(loaded.network, loaded.anchors)
    assert_same_maps(export_openvino(split.network, split.output_names, STRIDES, tmp_path)[0], split)


def test_openvino_program_has_the_documented_inputs_and_outputs(openvino_files: tuple[Path, Path]) -> None:
    model = openvino.Core().read_model(openvino_files[0])
    assert [(str(node.element_type), str(node.partial_shape)) for node in model.inputs] == [
        ("<Type: 'uint8_t'>", "[?,?,?,3]")
    ]
    assert [node.get_any_name() for node in model.outputs] == [
        f"{kind}{index}" for index in range(3) for kind in ("objectness", "features")
    ]
    assert {str(node.element_type) for node in model.outputs} == {"<Type: 'float32'>"}


def test_silu_is_one_node(openvino_files: tuple[Path, Path]) -> None:
    kinds = [node.get_type_name() for node in openvino.Core().read_model(openvino_files[0]).get_ordered_ops()]
    assert kinds.count("Swish") == 57
    assert "Sigmoid" not in kinds


def test_torch_program_agrees_with_the_network(torch_files: tuple[Path], split: SplitNetwork) -> None:
    module = torch.export.load(torch_files[0]).module(check_guards=False)
    with torch.inference_mode():
        for batch, height, width in SIZES_NHW:
            image = random_images(batch, max(height, width))[:, :, :height, :width]
            expected = split.network(image)
            actual = module(image)
            assert isinstance(actual, tuple)
            for actual_map, expected_map in zip(actual, expected, strict=True):
                torch.testing.assert_close(actual_map, expected_map, atol=1e-4, rtol=0)


def test_torch_program_converts_to_half_precision(torch_files: tuple[Path]) -> None:
    module = torch.export.load(torch_files[0]).module(check_guards=False).to(torch.bfloat16)
    with torch.inference_mode():
        maps = module(torch.rand(1, 3, 64, 96).bfloat16())
    assert {raw.dtype for raw in maps} == {torch.bfloat16}


def test_torch_program_loads_without_ultralytics_and_torchvision(torch_files: tuple[Path]) -> None:
    code = (
        "import sys, torch\n"
        "sys.modules.update({'ultralytics': None, 'torchvision': None, 'archiver': None})\n"
        f"module = torch.export.load({str(torch_files[0])!r}).module(check_guards=False)\n"
        "print([tuple(raw.shape) for raw in module(torch.zeros(1, 3, 32, 32))])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "[(1, 3, 4, 4), (1, 64, 4, 4), (1, 3, 2, 2), (1, 128, 2, 2), (1, 3, 1, 1), (1, 256, 1, 1)]"
    )


def test_programs_are_the_same_bytes_in_another_process_and_in_this_one(
    checkpoint: Path,
    split: SplitNetwork,
    openvino_files: tuple[Path, Path],
    torch_files: tuple[Path],
    tmp_path: Path,
) -> None:
    again = tmp_path / "again"
    again.mkdir()
    assert hashes(export_openvino(split.network, split.output_names, STRIDES, again)) == hashes(openvino_files)
    code = (
        "from pathlib import Path\n"
        "from archiver.checkpoint.reader import load_checkpoint\n"
        "from archiver.export.split_head import split_head\n"
        "from archiver.export.graph import export_openvino, export_torch\n"
        f"loaded, folder = load_checkpoint(Path({str(checkpoint)!r})), Path({str(tmp_path)!r})\n"
        "split = split_head(loaded.network, loaded.anchors)\n"
        "export_torch(split.network, loaded.strides, folder)\n"
        "export_openvino(split.network, split.output_names, loaded.strides, folder)\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, env=environment, check=True, capture_output=True)
    files = openvino_files + torch_files
    assert hashes(tuple(tmp_path / path.name for path in files)) == hashes(files)


def test_programs_contain_no_path_of_this_machine(openvino_files: tuple[Path, Path], torch_files: tuple[Path]) -> None:
    for path in (openvino_files[0], *torch_files):
        content = path.read_bytes()
        assert str(SCRIPTS).encode() not in content
        assert str(Path(torch.__file__).parent).encode() not in content


def test_full_disk_is_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(openvino, "save_model", full)
    with pytest.raises(ExportError, match="iostream"):
        export_openvino(torch.nn.Conv2d(3, 8, 1), ["map0"], (8,), tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 0}))
    with pytest.raises(OSError, match="No space left"):
        export_openvino(torch.nn.Conv2d(3, 8, 1), ["map0"], (8,), tmp_path)


def test_network_that_openvino_does_not_support_is_an_export_error(tmp_path: Path) -> None:
    class Unsupported(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(x)  # type: ignore[no-any-return]

    with pytest.raises(ExportError, match="OpenVINO could not convert the network"):
        export_openvino(Unsupported(), ["map0"], STRIDES, tmp_path)


def hashes(paths: tuple[Path, ...]) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
