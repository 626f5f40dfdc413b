"""Inert objects of a checkpoint -> torch modules, with every BatchNorm folded into its convolution."""

from collections.abc import Callable

import torch
from torch import nn

from ..errors import CheckpointError, UnsafeCheckpoint
from .diagnose import describe_layer
from .inert_objects import InertObject
from .modules import BranchedHead, Concat, CrossStage, PoolingPyramid, Residual

MAX_GEOMETRY = 64
"""Largest kernel, stride, padding or factor of a layer."""
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "SiLU": nn.SiLU,
    "Hardswish": nn.Hardswish,
    "ReLU": nn.ReLU,
    "ReLU6": nn.ReLU6,
    "Mish": nn.Mish,
    "Identity": nn.Identity,
}


class NetworkBuilder:
    """Builds modules from inert objects, up to a limit: a small file can describe a huge network."""

    def __init__(self, max_weights: int, max_layers: int = 20_000) -> None:
        self._weights_left = max_weights
        self._layers_left = max_layers
        self._builders: dict[str, Callable[[InertObject], nn.Module]] = {
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

    def build(self, layer: InertObject) -> nn.Module:
        """The module that this object describes."""
        self._layers_left -= 1
        if self._layers_left < 0:
            raise UnsafeCheckpoint("its network has more layers than any YOLOv5 model")
        build = self._builders.get(layer.class_name)
        if build is None:
            raise CheckpointError(describe_layer(layer.class_name, self._builders))
        return build(layer)

    def branched_head(self, box: InertObject, class_score: InertObject) -> nn.Module:
        """The anchor-free head of one stride."""
        return BranchedHead(self.build(box), self.build(class_score))

    def _sequence(self, layer: InertObject) -> nn.Module:
        return nn.Sequential(*(self.build(child) for child in layer.children()))

    def _convolution_block(self, layer: InertObject) -> nn.Module:
        norm = layer.attribute("bn")
        scale_shift = _scale_shift(norm) if isinstance(norm, InertObject) else None
        return nn.Sequential(self._convolution(layer.child("conv"), scale_shift), _activation(layer.child("act")))

    def _convolution(
        self, layer: InertObject, scale_shift: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> nn.Conv2d:
        """scale_shift: factors and summands of the BatchNorm that follows, (O,) each, in float64."""
        if layer.class_name != "Conv2d":
            raise CheckpointError(f"its network has a {layer.class_name} where a Conv2d was expected")
        weight = layer.tensor("weight")
        bias = layer.tensor("bias") if layer.attribute("bias") is not None else weight.new_zeros(weight.shape[:1])
        if scale_shift is not None:
            scale, shift = scale_shift
            weight, bias = weight * scale.view(-1, 1, 1, 1), bias * scale + shift
        return self._conv2d(weight, bias, layer, _geometry(layer, "stride", 1), _geometry(layer, "padding", 0))

    def _conv2d(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor,
        layer: InertObject,
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> nn.Conv2d:
        if weight.dim() != 4 or bias.shape != weight.shape[:1] or max(weight.shape[2:]) > MAX_GEOMETRY:
            shapes = f"{tuple(weight.shape)} and {tuple(bias.shape)}"
            raise CheckpointError(
                f"a convolution's weight and bias should have the shapes (O, I, h, w) and (O), not {shapes}"
            )
        self._weights_left -= weight.numel() + bias.numel()
        if self._weights_left < 0:
            raise UnsafeCheckpoint("its network has more weights than the file can hold")
        groups, dilation = layer.integer("groups", 1), _geometry(layer, "dilation", 1)
        out_channels, in_channels = weight.shape[0], weight.shape[1] * groups
        if groups < 1 or out_channels % groups:
            raise CheckpointError(f"a convolution of {out_channels} channels can't have {groups} groups")
        height, width = weight.shape[2:]
        # On the meta device torch neither allocates nor initializes the weights that are replaced below.
        conv = nn.Conv2d(
            in_channels, out_channels, (height, width), stride, padding, dilation, groups, device=torch.device("meta")
        )
        conv.weight = nn.Parameter(weight.float(), requires_grad=False)
        conv.bias = nn.Parameter(bias.float(), requires_grad=False)
        return conv

    def _focus(self, layer: InertObject) -> nn.Module:
        """strategy: convolving four interleaved slices of an image is one convolution of stride 2."""
        block = layer.child("conv")
        inner, norm = block.child("conv"), block.attribute("bn")
        sliced = self._convolution(inner, _scale_shift(norm) if isinstance(norm, InertObject) else None)
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

    def _bottleneck(self, layer: InertObject) -> nn.Module:
        body = nn.Sequential(self.build(layer.child("cv1")), self.build(layer.child("cv2")))
        return Residual(body) if layer.attribute("add") is True else body

    def _c3(self, layer: InertObject) -> nn.Module:
        main = nn.Sequential(self.build(layer.child("cv1")), self.build(layer.child("m")))
        return CrossStage(main, self.build(layer.child("cv2")), self.build(layer.child("cv3")))

    def _bottleneck_csp(self, layer: InertObject) -> nn.Module:
        """Its BatchNorm spans both branches: each half is folded into the last convolution of its branch."""
        scale, shift = _scale_shift(layer.child("bn"))
        half = layer.child("cv3").tensor("weight").shape[0]
        main = nn.Sequential(
            self.build(layer.child("cv1")),
            self.build(layer.child("m")),
            self._convolution(layer.child("cv3"), (scale[:half], shift[:half])),
        )
        side = self._convolution(layer.child("cv2"), (scale[half:], shift[half:]))
        return CrossStage(main, side, nn.Sequential(_activation(layer.child("act")), self.build(layer.child("cv4"))))

    def _spp(self, layer: InertObject) -> nn.Module:
        pools = [self._max_pool(child) for child in layer.child("m").children()]
        return PoolingPyramid(self.build(layer.child("cv1")), pools, self.build(layer.child("cv2")), chained=False)

    def _sppf(self, layer: InertObject) -> nn.Module:
        pools = [self._max_pool(layer.child("m")) for _ in range(min(layer.integer("n", 3), MAX_GEOMETRY))]
        body = PoolingPyramid(self.build(layer.child("cv1")), pools, self.build(layer.child("cv2")), chained=True)
        return Residual(body) if layer.attribute("add") is True else body

    def _max_pool(self, layer: InertObject) -> nn.Module:
        kernel, stride, padding = (_geometry(layer, name, minimum) for name, minimum in _POOL_GEOMETRY)
        return nn.MaxPool2d(kernel, stride, padding)

    def _upsample(self, layer: InertObject) -> nn.Module:
        factor = layer.attribute("scale_factor")
        if layer.attribute("mode") != "nearest" or factor not in range(1, MAX_GEOMETRY):
            raise CheckpointError(
                f"its Upsample layer should repeat pixels a whole number of times; its factor is {factor!r:.30}"
            )
        return nn.Upsample(scale_factor=float(factor), mode="nearest")

    def _concat(self, layer: InertObject) -> nn.Module:
        if layer.attribute("d") != 1:
            raise CheckpointError(f"its Concat layer should join axis 1, and joins {layer.attribute('d')!r:.30}")
        return Concat()


_POOL_GEOMETRY = (("kernel_size", 1), ("stride", 1), ("padding", 0))


def _geometry(layer: InertObject, name: str, minimum: int) -> tuple[int, int]:
    vertical, horizontal = layer.pair(name)
    if minimum <= vertical <= MAX_GEOMETRY and minimum <= horizontal <= MAX_GEOMETRY:
        return vertical, horizontal
    raise CheckpointError(
        f"its {layer.class_name} layer's {name} should lie in {minimum}..{MAX_GEOMETRY}, "
        f"and is {(vertical, horizontal)}"
    )


def _scale_shift(norm: InertObject) -> tuple[torch.Tensor, torch.Tensor]:
    """The factor and the summand of a BatchNorm in inference, (channels,) each, in float64."""
    epsilon = norm.attribute("eps", 1e-5)
    if norm.class_name != "BatchNorm2d" or not isinstance(epsilon, float):
        raise CheckpointError(f"its network has a {norm.class_name} where a BatchNorm2d was expected")
    scale = norm.tensor("weight") / torch.sqrt(norm.tensor("running_var") + epsilon)
    return scale, norm.tensor("bias") - norm.tensor("running_mean") * scale


def _activation(activation: InertObject) -> nn.Module:
    if activation.class_name == "LeakyReLU":
        slope = activation.attribute("negative_slope", 0.01)
        if isinstance(slope, float):
            return nn.LeakyReLU(slope)
    if activation.class_name not in _ACTIVATIONS:
        raise CheckpointError(describe_layer(activation.class_name, [*_ACTIVATIONS, "LeakyReLU"]))
    return _ACTIVATIONS[activation.class_name]()
