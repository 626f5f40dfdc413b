"""Separates the head's last convolutions from a network: the handler computes them only for the cells that it keeps."""

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from detection.head import HEAD_FILE

from ..checkpoint.heads import Anchors
from ..checkpoint.modules import Network
from ..errors import CheckpointError


@dataclass(frozen=True)
class SplitNetwork:
    """The network for the engine, and the head's weights for the handler.

    network: (N, 3, H, W) RGB in 0..1 -> a tuple of maps, named by `output_names`. head_weights: arrays for HEAD_FILE;
    empty for an anchor-free head, which needs the class scores of every cell.
    """

    network: nn.Module
    output_names: tuple[str, ...]
    head_weights: dict[str, NDArray[np.float32]]

    def save(self, folder: Path) -> tuple[Path, ...]:
        """Write the head's weights, if there are any; the bytes are the same on every run."""
        if not self.head_weights:
            return ()
        # numpy's stub confuses the dict's keys with a keyword of savez.
        np.savez(folder / HEAD_FILE, **self.head_weights)  # type: ignore[arg-type]
        return (folder / HEAD_FILE,)


def split_head(network: nn.Module, anchors: Anchors | None) -> SplitNetwork:
    """The network up to its head: per stride the objectness (N, anchors, h, w) and the features (N, C, h, w).

    strategy: a head is a 1 x 1 convolution, so the values of a cell are one product of its features with a matrix.
    Only objectness is needed for every cell. The handler computes the other values for the few cells that pass. So
    the network does not write its largest map, and int8 does not round it.
    """
    assert isinstance(network, Network)
    if anchors is None:
        return SplitNetwork(network, tuple(f"map{index}" for index in range(len(network.heads))), {})
    heads: list[nn.Module] = []
    head_weights = {}
    for index, (head, stride_anchors) in enumerate(zip(network.heads, anchors, strict=True)):
        if not isinstance(head, nn.Conv2d) or head.kernel_size != (1, 1) or head.groups != 1 or head.bias is None:
            raise CheckpointError("its head should be plain convolutions of 1 x 1")
        weight, bias, anchor_count = head.weight.detach(), head.bias.detach(), len(stride_anchors)
        heads.append(_ObjectnessHead(weight, bias, anchor_count))
        head_weights[f"weight{index}"] = weight.reshape(anchor_count, -1, weight.shape[1]).numpy()
        head_weights[f"bias{index}"] = bias.reshape(anchor_count, -1).numpy()
    body = copy.copy(network)
    body._modules = {**network._modules, "heads": nn.ModuleList(heads)}
    output_names = tuple(f"{kind}{index}" for index in range(len(heads)) for kind in ("objectness", "features"))
    return SplitNetwork(_FlatOutputs(body).eval(), output_names, head_weights)


class _ObjectnessHead(nn.Module):
    """The objectness and the features of one stride."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, anchor_count: int) -> None:
        super().__init__()
        rows = torch.arange(anchor_count) * (len(weight) // anchor_count) + 4
        self.conv = nn.Conv2d(weight.shape[1], anchor_count, 1)
        self.conv.weight = nn.Parameter(weight[rows].clone(), requires_grad=False)
        self.conv.bias = nn.Parameter(bias[rows].clone(), requires_grad=False)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """features (N, C, h, w) -> objectness logits (N, anchors, h, w), and the features unchanged."""
        return self.conv(features), features


class _FlatOutputs(nn.Module):
    """Flattens the outputs of a network whose heads return two maps each."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """image (N, 3, H, W) -> objectness and features of the first stride, then of the next."""
        return tuple(output for pair in self.network(image) for output in pair)
