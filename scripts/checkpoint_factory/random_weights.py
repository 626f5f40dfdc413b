"""Random weights that behave like trained ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from checkpoint_factory.networks import Layer, run_head, run_layers

LOGIT_SPREAD = 2.0
PASSING_LOGIT = -1.1
"""Of a score of 0.25."""
PASSING_SHARE = 0.03
"""Cells of each anchor (each class, without anchors) that pass, on images like those of `patchwork`."""


def patchwork(count: int, side: int) -> torch.Tensor:
    """Random images (N, 3, side, side) in 0..1 with detail of every size."""
    image = torch.zeros(count, 3, side, side)
    cells = (4, 8, 16, 32, 64)
    for cell in cells:
        image += nn.functional.interpolate(torch.rand(count, 3, max(side // cell, 1), max(side // cell, 1)), side)
    return image / len(cells)


def calibrate(layers: Sequence[Layer], image: torch.Tensor | None = None, share: float = PASSING_SHARE) -> None:
    """Give BatchNorms statistics that nearly normalise, and heads logits that pass and logits that fail.

    On `image` (N, 3, H, W) in 0..1, by default a patchwork, this share of the cells passes.
    """
    if image is None:
        image = patchwork(2, 6 * int(max(layers[-1].stride)))
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
            # Somewhat less gain than would normalise: differences between images would grow from layer to layer.
            norm.running_var.mul_(1.5).add_(0.1 * norm.running_mean**2)
        for layer in layers:
            layer.eval()
        for level, raw in enumerate(run_head(layers[-1], run_layers(layers, image))):
            _spread(layers[-1], level, raw, share)


def _spread(detect: Layer, level: int, raw: torch.Tensor, share: float) -> None:
    """Scale a head's last convolutions to logits of a useful spread, of which few say "something is here"."""
    anchored = hasattr(detect, "m")
    gain = LOGIT_SPREAD / float(raw.std())
    for conv in [detect.m[level]] if anchored else [detect.cv2[level][-1], detect.cv3[level][-1]]:
        conv.weight.mul_(gain)
        conv.bias.mul_(gain)
    if anchored:
        objectness = raw[:, 4 :: detect.no].transpose(0, 1).flatten(1) * gain
        bias = detect.m[level].bias.view(detect.na, detect.no)[:, 4]
    else:
        objectness = raw[:, 4 * detect.reg_max :].transpose(0, 1).flatten(1) * gain
        bias = detect.cv3[level][-1].bias
    bias.add_(PASSING_LOGIT - objectness.quantile(1 - share, dim=1))
