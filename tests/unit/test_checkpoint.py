from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from archiver.checkpoint.reader import load_checkpoint
from archiver.errors import CheckpointError, UnsafeCheckpoint
from checkpoint_factory.checkpoints import build_anchor_free, build_checkpoint, load_reference, save_model
from checkpoint_factory.networks import PARAMETERS, Style, build_layers, run_head, run_layers
from checkpoint_factory.random_weights import random_images
from conftest import weights
from support import other_checkpoints

pytestmark = pytest.mark.usefixtures("one_torch_thread")

STYLES = {
    "v7": (Style(), "yolov5n", (8, 16, 32)),
    "v5": (Style("v5"), "yolov5n", (8, 16, 32)),
    "v5 with BottleneckCSP and Hardswish": (Style("v5", "BottleneckCSP", nn.Hardswish), "yolov5n", (8, 16, 32)),
    "v7 with LeakyReLU": (Style(activation=nn.LeakyReLU), "yolov5n", (8, 16, 32)),
    "P6": (Style("p6"), "yolov5n6", (8, 16, 32, 64)),
}


def assert_same_maps(path: Path, model_class: str = "DetectionModel") -> None:
    """The fused network and the unfused modules have the same outputs."""
    reference = load_reference(path, model_class)
    network = load_checkpoint(path).network
    with torch.no_grad():
        for image in (random_images(2, 128), torch.rand(1, 3, 192, 64)):
            expected = run_head(reference.model[-1], run_layers(list(reference.model), image))
            for raw, wanted in zip(network(image), expected, strict=True):
                torch.testing.assert_close(raw, wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("style", "variant", "strides"), STYLES.values(), ids=STYLES)
def test_fused_network_agrees_with_the_unfused_one(
    style: Style, variant: str, strides: tuple[int, ...], tmp_path: Path
) -> None:
    path = build_checkpoint("n", tmp_path / "n.pt", ["cat", "dog"], style=style)
    loaded = load_checkpoint(path)
    assert (loaded.variant, loaded.strides, loaded.head, loaded.reg_max) == (variant, strides, "anchor", None)
    assert loaded.class_names == ("cat", "dog")
    assert not any(isinstance(module, nn.BatchNorm2d) for module in loaded.network.modules())
    assert_same_maps(path, "Model" if style.layout == "v5" else "DetectionModel")


def test_anchor_free_network_agrees_with_the_unfused_one(tmp_path: Path) -> None:
    path = build_anchor_free(tmp_path / "nu.pt", ["cat", "dog"])
    loaded = load_checkpoint(path)
    assert (loaded.variant, loaded.head, loaded.anchors, loaded.reg_max) == ("yolov5nu", "anchor_free", None, 16)
    assert loaded.class_names == ("cat", "dog")
    assert_same_maps(path)


@pytest.mark.parametrize(
    ("name", "model_class", "classes"), [("yolov5n", "Model", 80), ("waste-2class", "DetectionModel", 2)]
)
def test_real_checkpoint_agrees_with_the_unfused_one(name: str, model_class: str, classes: int) -> None:
    path = weights(name)
    loaded = load_checkpoint(path)
    assert (loaded.variant, len(loaded.class_names), loaded.strides) == ("yolov5n", classes, (8, 16, 32))
    assert loaded.anchors is not None
    assert loaded.anchors[0] == ((10, 13), (16, 30), (33, 23))
    assert loaded.anchors[2][2] == (373, 326)
    assert_same_maps(path, model_class)


@pytest.mark.parametrize("size", PARAMETERS)
def test_built_variants_have_the_official_number_of_parameters(size: str) -> None:
    with torch.device("meta"):
        layers = build_layers(size, 80, Style())
    assert sum(weight.numel() for layer in layers for weight in layer.parameters()) == PARAMETERS[size]


@pytest.mark.parametrize("size", ["s", "m"])
def test_variant_is_derived_from_widths_and_depths(size: str, tmp_path: Path) -> None:
    save_model(other_checkpoints.tiny_model(size=size), tmp_path / "any.pt")
    assert load_checkpoint(tmp_path / "any.pt").variant == f"yolov5{size}"


def test_network_of_unusual_width_is_custom(tmp_path: Path) -> None:
    model = other_checkpoints.tiny_model(width=0.125)
    save_model(model, tmp_path / "thin.pt")
    assert load_checkpoint(tmp_path / "thin.pt").variant == "custom"


def test_moving_average_is_preferred(tmp_path: Path) -> None:
    path = tmp_path / "both.pt"
    save_model(
        other_checkpoints.tiny_model(["the", "model"]), path, average=other_checkpoints.tiny_model(["its", "average"])
    )
    assert load_checkpoint(path).class_names == ("its", "average")


def test_network_takes_any_size_and_batch(tmp_path: Path) -> None:
    network = load_checkpoint(build_checkpoint("n", tmp_path / "n.pt", ["cat"])).network
    with torch.inference_mode():
        for batch, height, width in ((1, 32, 32), (3, 96, 64)):
            shapes = [tuple(raw.shape) for raw in network(torch.zeros(batch, 3, height, width))]
            assert shapes == [(batch, 18, height // stride, width // stride) for stride in (8, 16, 32)]


@pytest.mark.parametrize(("write", "message"), other_checkpoints.WRITERS.values(), ids=other_checkpoints.WRITERS)
def test_other_file_is_diagnosed(write: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    write(path)
    with pytest.raises(CheckpointError, match=message) as raised:
        load_checkpoint(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("share", [0.999, 0.5, 0.01])
def test_truncated_file_is_named_in_the_error(share: float, tmp_path: Path) -> None:
    path = build_checkpoint("n", tmp_path / "n.pt", ["cat"])
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        load_checkpoint(path)


def test_missing_file_and_directory_are_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        load_checkpoint(tmp_path / "none.pt")
    with pytest.raises(CheckpointError, match="is a directory"):
        load_checkpoint(tmp_path)


MALICIOUS: dict[str, Callable[[Path, Path], None]] = {
    "in a checkpoint": other_checkpoints.malicious,
    "in a checkpoint of pickle protocol 4": other_checkpoints.malicious_new_protocol,
    "as a bare pickle": lambda path, proof: other_checkpoints.malicious_bare_pickle(path, proof, 2),
    "as a bare pickle of protocol 0": lambda path, proof: other_checkpoints.malicious_bare_pickle(path, proof, 0),
    "as a bare pickle of protocol 5": lambda path, proof: other_checkpoints.malicious_bare_pickle(path, proof, 5),
}


@pytest.mark.parametrize("write", MALICIOUS.values(), ids=MALICIOUS)
def test_malicious_pickle_is_rejected_and_not_run(write: Callable[[Path, Path], None], tmp_path: Path) -> None:
    path, proof = tmp_path / "malicious.pt", tmp_path / "proof"
    write(path, proof)
    with pytest.raises(UnsafeCheckpoint, match=r"posix\.system.*nothing of it was run"):
        load_checkpoint(path)
    assert not proof.exists()


NAMES: dict[str, tuple[Any, tuple[str, ...] | str]] = {
    "a list": (["cat", "dog"], ("cat", "dog")),
    "a dict": ({1: "dog", 0: "cat"}, ("cat", "dog")),
    "none": (None, ("class0", "class1")),
    "control characters": (["\x1b[31mcat\n", "d\u202eog\u200b\x00"], ("[31mcat", "dog")),
    "only control characters": (["\x07", "dog"], ("class0", "dog")),
    "other scripts": (["猫", "собака"], ("猫", "собака")),
    "too few": (["cat"], "1 class names for the 2 classes"),
    "a gap": ({0: "cat", 2: "dog"}, "1 is missing"),
    "numbers": ([1, 2], "class 0 should be text, and is a int"),
    "a long name": (["cat", "d" * 1000], "class 1 has 1000 characters"),
    "text": ("cat", "list or a dict, and are a str"),
}


@pytest.mark.parametrize(("names", "expected"), NAMES.values(), ids=NAMES)
def test_class_names_are_cleaned_or_rejected(names: Any, expected: tuple[str, ...] | str, tmp_path: Path) -> None:
    path = tmp_path / "names.pt"
    save_model(other_checkpoints.tiny_model(names), path)
    if isinstance(expected, tuple):
        assert load_checkpoint(path).class_names == expected
    else:
        with pytest.raises(CheckpointError, match=re.escape(expected)):
            load_checkpoint(path)


DAMAGE: dict[str, tuple[Callable[[Any], None], str]] = {
    "a layer that reads itself": (lambda model: setattr(model.model[5], "f", 5), "layer 5 should read earlier layers"),
    "a layer that reads too far back": (lambda model: setattr(model.model[5], "f", -9), "should read earlier layers"),
    "a huge padding": (
        lambda model: setattr(model.model[0].conv, "padding", (10**9, 0)),
        "padding should lie in 0..64",
    ),
    "a stride of zero": (lambda model: setattr(model.model[0].conv, "stride", (0, 0)), "stride should lie in 1..64"),
    "strides that are not powers of two": (
        lambda model: setattr(model.model[-1], "stride", torch.tensor([8.0, 17.0, 32.0])),
        "powers",
    ),
    "unsorted strides": (lambda model: setattr(model.model[-1], "stride", torch.tensor([16.0, 8.0, 32.0])), "maps"),
    "anchors that don't fit": (lambda model: setattr(model.model[-1], "anchors", torch.ones(2, 3, 2)), "its anchors"),
    "no classes": (lambda model: setattr(model.model[-1], "nc", 0), "0 classes"),
    "an unknown activation": (lambda model: setattr(model.model[0], "act", nn.Tanh()), "Tanh, which is not supported"),
    "channels that don't fit": (lambda model: setattr(model.model[1], "conv", nn.Conv2d(99, 32, 3)), "damaged"),
    "no layers": (lambda model: setattr(model, "model", nn.Sequential()), "has 0 layers"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_network_is_rejected(damage: Callable[[Any], None], message: str, tmp_path: Path) -> None:
    model = other_checkpoints.tiny_model()
    damage(model)
    save_model(model, tmp_path / "damaged.pt")
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "damaged.pt")
