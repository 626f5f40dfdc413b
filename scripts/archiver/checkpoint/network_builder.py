"""Parts of a checkpoint -> torch modules, with every BatchNorm folded into its convolution."""

from collections.abc import Callable

import torch
from torch import nn

from ..errors import CheckpointError, UnsafeCheckpoint
from .diagnose import describe_layer
from .inert_objects import Part
from .modules import Concat, CrossStage, PoolingPyramid, Residual, SplitHead

MAX_GEOMETRY = 64
"""Largest kernel, stride, padding or factor that a layer may ask for."""
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "SiLU": nn.SiLU,
    "Hardswish": nn.Hardswish,
    "ReLU": nn.ReLU,
    "ReLU6": nn.ReLU6,
    "Mish": nn.Mish,
    "Identity": nn.Identity,
}


class Builder:
    """Builds modules from parts, spending a budget of weights so that a small file can't ask for a huge network."""

    def __init__(self, max_weights: int, max_parts: int = 20_000) -> None:
        self._weights_left = max_weights
        self._parts_left = max_parts
        self._makers: dict[str, Callable[[Part], nn.Module]] = {
            "Conv": self._convolution_block,
            "DWConv": self._convolution_block,
            "Focus": self._focus,
            "Bottleneck": self._bottleneck,
            "BottleneckCSP": self._bottleneck_csp,
            "C3": self._c3,
            "SPP": self._spp,
            "SPPF": self._sppf,
            "Concat": self._concat,
            "Conv2d": self._convolution,
            "MaxPool2d": self._max_pool,
            "Upsample": self._upsample,
            "Sequential": self._sequence,
        }

    def build(self, part: Part) -> nn.Module:
        """The module that this part describes."""
        self._parts_left -= 1
        if self._parts_left < 0:
            raise UnsafeCheckpoint("its network has more layers than any YOLOv5 model")
        maker = self._makers.get(part.class_name)
        if maker is None:
            raise CheckpointError(describe_layer(part.class_name, self._makers))
        return maker(part)

    def split_head(self, box: Part, class_score: Part) -> nn.Module:
        """The anchor-free head of one stride."""
        return SplitHead(self.build(box), self.build(class_score))

    def _sequence(self, part: Part) -> nn.Module:
        return nn.Sequential(*(self.build(child) for child in part.children()))

    def _convolution_block(self, part: Part) -> nn.Module:
        norm = part.attribute("bn")
        scale_shift = _scale_shift(norm) if isinstance(norm, Part) else None
        return nn.Sequential(self._convolution(part.child("conv"), scale_shift), _activation(part.child("act")))

    def _convolution(self, part: Part, scale_shift: tuple[torch.Tensor, torch.Tensor] | None = None) -> nn.Conv2d:
        """scale_shift: what a BatchNorm after it multiplies and adds per output channel, in float64."""
        if part.class_name != "Conv2d":
            raise CheckpointError(f"its network has a {part.class_name} where a Conv2d was expected")
        weight = part.tensor("weight")
        bias = part.tensor("bias") if part.attribute("bias") is not None else weight.new_zeros(weight.shape[:1])
        if scale_shift is not None:
            scale, shift = scale_shift
            weight, bias = weight * scale.view(-1, 1, 1, 1), bias * scale + shift
        return self._conv2d(weight, bias, part, _geometry(part, "stride", 1), _geometry(part, "padding", 0))

    def _conv2d(
        self, weight: torch.Tensor, bias: torch.Tensor, part: Part, stride: tuple[int, int], padding: tuple[int, int]
    ) -> nn.Conv2d:
        if weight.dim() != 4 or bias.shape != weight.shape[:1] or max(weight.shape[2:]) > MAX_GEOMETRY:
            shapes = f"{tuple(weight.shape)} and {tuple(bias.shape)}"
            raise CheckpointError(
                f"a convolution's weight and bias should have the shapes (O, I, h, w) and (O), not {shapes}"
            )
        self._weights_left -= weight.numel() + bias.numel()
        if self._weights_left < 0:
            raise UnsafeCheckpoint("its network has more weights than the file has room for")
        groups, dilation = part.integer("groups", 1), _geometry(part, "dilation", 1)
        out_channels, in_channels = weight.shape[0], weight.shape[1] * groups
        if groups < 1 or out_channels % groups:
            raise CheckpointError(f"a convolution of {out_channels} channels can't have {groups} groups")
        height, width = weight.shape[2:]
        # On the meta device nothing is allocated or drawn at random for the weights that are replaced below.
        conv = nn.Conv2d(
            in_channels, out_channels, (height, width), stride, padding, dilation, groups, device=torch.device("meta")
        )
        conv.weight = nn.Parameter(weight.float(), requires_grad=False)
        conv.bias = nn.Parameter(bias.float(), requires_grad=False)
        return conv

    def _focus(self, part: Part) -> nn.Module:
        """strategy: slicing an image into four phases and convolving them is one convolution of stride 2."""
        block = part.child("conv")
        inner, norm = block.child("conv"), block.attribute("bn")
        sliced = self._convolution(inner, _scale_shift(norm) if isinstance(norm, Part) else None)
        out_channels, phases, height, width = sliced.weight.shape
        if sliced.stride != (1, 1) or phases % 4 or sliced.groups != 1 or sliced.dilation != (1, 1):
            raise CheckpointError("its Focus layer should be a plain convolution over four slices of the image")
        channels = phases // 4
        whole = sliced.weight.new_zeros(out_channels, channels, 2 * height, 2 * width)
        for phase, (row, column) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
            whole[:, :, row::2, column::2] = sliced.weight[:, phase * channels : (phase + 1) * channels]
        vertical, horizontal = _geometry(inner, "padding", 0)
        assert sliced.bias is not None
        conv = self._conv2d(whole.detach(), sliced.bias.detach(), inner, (2, 2), (2 * vertical, 2 * horizontal))
        return nn.Sequential(conv, _activation(block.child("act")))

    def _bottleneck(self, part: Part) -> nn.Module:
        body = nn.Sequential(self.build(part.child("cv1")), self.build(part.child("cv2")))
        return Residual(body) if part.attribute("add") is True else body

    def _c3(self, part: Part) -> nn.Module:
        main = nn.Sequential(self.build(part.child("cv1")), self.build(part.child("m")))
        return CrossStage(main, self.build(part.child("cv2")), self.build(part.child("cv3")))

    def _bottleneck_csp(self, part: Part) -> nn.Module:
        """Its one BatchNorm spans both branches, so that each branch's last convolution takes its half."""
        scale, shift = _scale_shift(part.child("bn"))
        half = part.child("cv3").tensor("weight").shape[0]
        main = nn.Sequential(
            self.build(part.child("cv1")),
            self.build(part.child("m")),
            self._convolution(part.child("cv3"), (scale[:half], shift[:half])),
        )
        side = self._convolution(part.child("cv2"), (scale[half:], shift[half:]))
        return CrossStage(main, side, nn.Sequential(_activation(part.child("act")), self.build(part.child("cv4"))))

    def _spp(self, part: Part) -> nn.Module:
        pools = [self._max_pool(child) for child in part.child("m").children()]
        return PoolingPyramid(self.build(part.child("cv1")), pools, self.build(part.child("cv2")), chained=False)

    def _sppf(self, part: Part) -> nn.Module:
        pools = [self._max_pool(part.child("m")) for _ in range(min(part.integer("n", 3), MAX_GEOMETRY))]
        body = PoolingPyramid(self.build(part.child("cv1")), pools, self.build(part.child("cv2")), chained=True)
        return Residual(body) if part.attribute("add") is True else body

    def _max_pool(self, part: Part) -> nn.Module:
        kernel, stride, padding = (_geometry(part, name, least) for name, least in _POOL_GEOMETRY)
        return nn.MaxPool2d(kernel, stride, padding)

    def _upsample(self, part: Part) -> nn.Module:
        factor = part.attribute("scale_factor")
        if part.attribute("mode") != "nearest" or factor not in range(1, MAX_GEOMETRY):
            raise CheckpointError(f"its Upsample layer should repeat pixels, and its factor is {factor!r:.30}")
        return nn.Upsample(scale_factor=float(factor), mode="nearest")

    def _concat(self, part: Part) -> nn.Module:
        if part.attribute("d") != 1:
            raise CheckpointError(f"its Concat layer should join axis 1, and joins {part.attribute('d')!r:.30}")
        return Concat()


_POOL_GEOMETRY = (("kernel_size", 1), ("stride", 1), ("padding", 0))


def _geometry(part: Part, name: str, least: int) -> tuple[int, int]:
    vertical, horizontal = part.pair(name)
    if least <= vertical <= MAX_GEOMETRY and least <= horizontal <= MAX_GEOMETRY:
        return vertical, horizontal
    raise CheckpointError(
        f"its {part.class_name} layer's {name} should lie in {least}..{MAX_GEOMETRY}, and is {(vertical, horizontal)}"
    )


def _scale_shift(norm: Part) -> tuple[torch.Tensor, torch.Tensor]:
    """What a BatchNorm in inference multiplies and adds, per channel, in float64."""
    epsilon = norm.attribute("eps", 1e-5)
    if norm.class_name != "BatchNorm2d" or not isinstance(epsilon, float):
        raise CheckpointError(f"its network has a {norm.class_name} where a BatchNorm2d was expected")
    scale = norm.tensor("weight") / torch.sqrt(norm.tensor("running_var") + epsilon)
    return scale, norm.tensor("bias") - norm.tensor("running_mean") * scale


def _activation(part: Part) -> nn.Module:
    if part.class_name == "LeakyReLU":
        slope = part.attribute("negative_slope", 0.01)
        if isinstance(slope, float):
            return nn.LeakyReLU(slope)
    if part.class_name not in _ACTIVATIONS:
        raise CheckpointError(describe_layer(part.class_name, [*_ACTIVATIONS, "LeakyReLU"]))
    return _ACTIVATIONS[part.class_name]()
