"""The head's last convolutions taken out of a network, so that they are computed only where something may be."""

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from detection.model_description import HEAD_FILE

from ..checkpoint.heads import Anchors
from ..checkpoint.modules import Network
from ..errors import CheckpointError


@dataclass(frozen=True)
class Cut:
    """What an engine runs, and what is left for the handler.

    network: (N, 3, H, W) RGB in 0..1 -> a tuple of maps, called `outputs`. weights: arrays for HEAD_FILE, none for an
    anchor-free head, whose class scores are all needed to find out where something is.
    """

    network: nn.Module
    outputs: tuple[str, ...]
    weights: dict[str, NDArray[np.float32]]

    def save(self, folder: Path) -> tuple[Path, ...]:
        """Write the weights, if there are any; the same bytes on every run."""
        if not self.weights:
            return ()
        # A dict's keys are plain names here; numpy's stub takes them for its own keyword too.
        np.savez(folder / HEAD_FILE, **self.weights)  # type: ignore[arg-type]
        return (folder / HEAD_FILE,)


def cut(network: nn.Module, anchors: Anchors | None) -> Cut:
    """The network up to its head: per stride the objectness (N, anchors, h, w) and the features (N, C, h, w).

    strategy: a head is a convolution of 1 x 1, so the 85 values of a cell are one product of its features with a
    matrix. Only objectness is needed everywhere; the rest is multiplied out for the few cells that pass. That saves
    the largest map that the network would write, and rounding it to int8.
    """
    assert isinstance(network, Network)
    if anchors is None:
        return Cut(network, tuple(f"map{index}" for index in range(len(network.heads))), {})
    heads: list[nn.Module] = []
    weights = {}
    for index, (head, level) in enumerate(zip(network.heads, anchors, strict=True)):
        if not isinstance(head, nn.Conv2d) or head.kernel_size != (1, 1) or head.groups != 1 or head.bias is None:
            raise CheckpointError("its head should be plain convolutions of 1 x 1")
        weight, bias = head.weight.detach(), head.bias.detach()
        heads.append(_Objectness(weight, bias, len(level)))
        weights[f"weight{index}"] = weight.reshape(len(level), -1, weight.shape[1]).numpy()
        weights[f"bias{index}"] = bias.reshape(len(level), -1).numpy()
    body = copy.copy(network)
    body._modules = {**network._modules, "heads": nn.ModuleList(heads)}
    outputs = tuple(f"{kind}{index}" for index in range(len(heads)) for kind in ("objectness", "features"))
    return Cut(_Flat(body).eval(), outputs, weights)


class _Objectness(nn.Module):
    """One stride's features and, per anchor, whether there is an object."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, anchors: int) -> None:
        super().__init__()
        rows = torch.arange(anchors) * (len(weight) // anchors) + 4
        self.conv = nn.Conv2d(weight.shape[1], anchors, 1)
        self.conv.weight = nn.Parameter(weight[rows].clone(), requires_grad=False)
        self.conv.bias = nn.Parameter(bias[rows].clone(), requires_grad=False)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, C, h, w) -> (N, anchors, h, w) and the features."""
        return self.conv(features), features


class _Flat(nn.Module):
    """A network of heads that give two maps each, its outputs in one row."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """image (N, 3, H, W) -> maps."""
        return tuple(one for pair in self.network(image) for one in pair)
