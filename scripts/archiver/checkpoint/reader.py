"""Reads a YOLOv5 checkpoint, without YOLOv5's code and without running code of the file."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from ..errors import CheckpointError, UnsafeCheckpoint
from ..storage import read_errors
from .class_names import read_class_names
from .diagnose import describe_model, describe_root
from .heads import Anchors, Head, read_head
from .inert_objects import InertObject
from .modules import Network
from .network_builder import NetworkBuilder
from .pickles import open_pickle
from .variant import variant_of

MIN_BYTES_PER_WEIGHT = 2  # float16: a file cannot hold more weights than half its bytes


@dataclass(frozen=True)
class Checkpoint:
    """A network that is ready to export, and the values that decode its maps.

    network: float32, BatchNorm folded; (N, 3, H, W) RGB in 0..1 -> a raw map per stride, (N, channels, H / s, W / s).
    anchors, reg_max: see Head.
    """

    network: torch.nn.Module
    class_names: tuple[str, ...]
    strides: tuple[int, ...]
    anchors: Anchors | None
    head: Literal["anchor", "anchor_free"]
    reg_max: int | None
    variant: str
    weights_sha256: str


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of YOLOv5 5.0 to 7.0 or of the anchor-free YOLOv5u. Raises CheckpointError for other files."""
    with read_errors(path):
        content = path.read_bytes()
    try:
        return _load(content)
    except CheckpointError as error:
        raise type(error)(f"{path}: {error}") from error
    except RecursionError as error:
        raise UnsafeCheckpoint(f"{path}: its layers are nested too deeply") from error
    except (RuntimeError, TypeError, ValueError, AttributeError, LookupError) as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise CheckpointError(f"{path}: its network is damaged: {type(error).__name__}: {reason}") from error


def _load(content: bytes) -> Checkpoint:
    opened = open_pickle(content)
    model = _model(opened.root)
    diagnosis = describe_model(model.full_name, {name.rpartition(".")[2] for name in opened.global_names})
    if diagnosis:
        raise CheckpointError(diagnosis)
    layers = list(model.child("model").children())
    if len(layers) < 2:
        raise CheckpointError(f"its network has {len(layers)} layers; at least 2 were expected")
    builder = NetworkBuilder(max_weights=len(content) // MIN_BYTES_PER_WEIGHT)
    modules = [builder.build(layer) for layer in layers[:-1]]
    head = read_head(layers[-1], builder)
    sources = [tuple(_sources(layer, index)) for index, layer in enumerate(layers)]
    network = Network(modules, sources[:-1], list(head.modules), sources[-1]).float().eval().requires_grad_(False)
    _check_maps(network, head)
    return Checkpoint(
        network=network,
        class_names=read_class_names(model.attribute("names"), head.class_count),
        strides=head.strides,
        anchors=head.anchors,
        head=head.kind,
        reg_max=head.reg_max,
        variant=variant_of(layers, head.strides, anchor_free=head.kind == "anchor_free"),
        weights_sha256=hashlib.sha256(content).hexdigest(),
    )


def _model(root: object) -> InertObject:
    """The model in a checkpoint's dict: the moving average of the weights if it exists."""
    model = (root.get("ema") or root.get("model")) if isinstance(root, Mapping) else None
    if not isinstance(model, InertObject):
        raise CheckpointError(describe_root(root))
    return model


def _sources(layer: InertObject, index: int) -> Iterator[int]:
    """Indices of the layers that layer `index` reads; -1 is the image."""
    value = layer.attribute("f")
    sources = value if isinstance(value, list | tuple) else [value]
    if len(sources) != 1 and layer.class_name not in ("Concat", "Detect"):
        raise CheckpointError(f"its layer {index}, {layer.class_name}, should read one layer, and reads {len(sources)}")
    for source in sources:
        absolute = index + source if isinstance(source, int) and source < 0 else source
        if not isinstance(absolute, int) or not (0 <= absolute < index or absolute == index - 1):
            raise CheckpointError(f"its layer {index} should read earlier layers, and reads {source!r:.30}")
        yield absolute


def _check_maps(network: Network, head: Head) -> None:
    """Run the network once on a small black image, and compare the shapes of its maps with those of the head."""
    side = 2 * max(head.strides)
    with torch.inference_mode():
        maps = network(torch.zeros(1, 3, side, side))
    expected = [(1, head.channels, side // stride, side // stride) for stride in head.strides]
    actual = [tuple(raw.shape) for raw in maps]
    if actual != expected:
        raise CheckpointError(f"its maps should have the shapes {expected}, and have {actual}")
