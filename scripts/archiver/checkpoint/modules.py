"""The modules of a YOLOv5 network in their inference form: without BatchNorm and training switches."""

import torch
from torch import nn


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return x + self.body(x)  # type: ignore[no-any-return]


class CrossStage(nn.Module):
    """Two parallel branches, then one module over both: C3 and BottleneckCSP."""

    def __init__(self, main: nn.Module, side: nn.Module, merge: nn.Module) -> None:
        super().__init__()
        self.main, self.side, self.merge = main, side, merge

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, D, H, W)."""
        return self.merge(torch.cat((self.main(x), self.side(x)), 1))  # type: ignore[no-any-return]


class PoolingPyramid(nn.Module):
    """A map and its poolings, joined along the channels: SPP pools the map each time, SPPF the last pooling."""

    def __init__(self, first: nn.Module, pools: list[nn.Module], last: nn.Module, *, chained: bool) -> None:
        super().__init__()
        self.first, self.pools, self.last = first, nn.ModuleList(pools), last
        self.chained = chained

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, D, H, W)."""
        levels = [self.first(x)]
        for pool in self.pools:
            levels.append(pool(levels[-1 if self.chained else 0]))
        return self.last(torch.cat(levels, 1))  # type: ignore[no-any-return]


class Concat(nn.Module):
    """Joins maps of equal size along the channels."""

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """K maps (N, C, H, W) -> (N, K * C, H, W)."""
        return torch.cat(maps, 1)


class BranchedHead(nn.Module):
    """The anchor-free head of one stride: a branch for the box distribution and one for the class logits."""

    def __init__(self, box: nn.Module, class_score: nn.Module) -> None:
        super().__init__()
        self.box, self.class_score = box, class_score

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, 4 * reg_max + classes, H, W)."""
        return torch.cat((self.box(x), self.class_score(x)), 1)


class Network(nn.Module):
    """Layers that read earlier layers, and one head per stride."""

    def __init__(
        self,
        layers: list[nn.Module],
        layer_sources: list[tuple[int, ...]],
        heads: list[nn.Module],
        head_sources: tuple[int, ...],
    ) -> None:
        """layer_sources: the layers that each layer reads, -1 for the image. head_sources: the layer of each head."""
        super().__init__()
        self.layers, self.heads = nn.ModuleList(layers), nn.ModuleList(heads)
        self.layer_sources, self.head_sources = layer_sources, head_sources

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """image (N, 3, H, W), RGB, 0..1 -> for each stride its raw map (N, channels, H / stride, W / stride)."""
        maps: list[torch.Tensor] = []
        for layer, sources in zip(self.layers, self.layer_sources, strict=True):
            inputs = [image if source < 0 else maps[source] for source in sources]
            maps.append(layer(inputs if isinstance(layer, Concat) else inputs[0]))
        return tuple(head(maps[source]) for head, source in zip(self.heads, self.head_sources, strict=True))
