"""Random weights whose activations and detections resemble those of trained weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from checkpoint_factory.networks import Layer, run_head, run_layers

LOGIT_DEVIATION = 2.0  # standard deviation of a head's logits
PASSING_LOGIT = -1.1  # of a score of 0.25
PASSING_SHARE = 0.03
"""Share of the cells of each anchor (of each class, without anchors) that pass, on images like `random_images`."""


def random_images(count: int, side: int) -> torch.Tensor:
    """Random images (N, 3, side, side) in 0..1 with detail of every size."""
    image = torch.zeros(count, 3, side, side)
    cells = (4, 8, 16, 32, 64)
    for cell in cells:
        image += nn.functional.interpolate(torch.rand(count, 3, max(side // cell, 1), max(side // cell, 1)), side)
    return image / len(cells)


def adjust_weights(
    layers: Sequence[Layer], image: torch.Tensor | None = None, passing_share: float = PASSING_SHARE
) -> None:
    """Set the BatchNorms' statistics so that they nearly normalise, and the head so that few cells pass.

    On `image` (N, 3, H, W) in 0..1, by default random images, `passing_share` of the cells passes.
    """
    if image is None:
        image = random_images(2, 6 * int(max(layers[-1].stride)))
    norms: list[Layer] = [
        module for layer in layers for module in layer.modules() if isinstance(module, nn.BatchNorm2d)
    ]
    momentum = norms[0].momentum
    for norm in norms:
        norm.train()
        nn.init.normal_(norm.bias, std=0.2)
        nn.init.uniform_(norm.weight, 0.8, 1.2)
        norm.momentum = 1.0
    with torch.no_grad():
        run_head(layers[-1], run_layers(layers, image))
        for norm in norms:
            norm.momentum = momentum
            # Less gain than full normalisation: otherwise differences between images grow from layer to layer.
            norm.running_var.mul_(1.5).add_(0.1 * norm.running_mean**2)
        for layer in layers:
            layer.eval()
        for level, raw in enumerate(run_head(layers[-1], run_layers(layers, image))):
            _adjust_head(layers[-1], level, raw, passing_share)


def _adjust_head(detect: Layer, level: int, raw: torch.Tensor, passing_share: float) -> None:
    """Scale a head's last convolutions and shift their bias so that `passing_share` of the logits pass."""
    with_anchors = hasattr(detect, "m")
    gain = LOGIT_DEVIATION / float(raw.std())
    for conv in [detect.m[level]] if with_anchors else [detect.cv2[level][-1], detect.cv3[level][-1]]:
        conv.weight.mul_(gain)
        conv.bias.mul_(gain)
    if with_anchors:
        logits = raw[:, 4 :: detect.no].transpose(0, 1).flatten(1) * gain
        bias = detect.m[level].bias.view(detect.na, detect.no)[:, 4]
    else:
        logits = raw[:, 4 * detect.reg_max :].transpose(0, 1).flatten(1) * gain
        bias = detect.cv3[level][-1].bias
    bias.add_(PASSING_LOGIT - logits.quantile(1 - passing_share, dim=1))
