"""What an archive says of the network inside it: its model.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .head import AnchorFreeHead, AnchorHead

HEAD_FILE = "head.npz"


@dataclass(frozen=True)
class Description:
    """The network's classes, head and format. `image_size` is the default longer side in pixels."""

    name: str
    version: str
    variant: str
    class_names: tuple[str, ...]
    strides: tuple[int, ...]
    anchors: tuple[tuple[tuple[float, float], ...], ...] | None
    reg_max: int | None
    image_size: int
    precision: str
    engine: str
    licence: str
    weights_sha256: str

    @classmethod
    def read(cls, path: Path) -> Description:
        """The description in the file `path`, as the archive was packed with it."""
        content = json.loads(path.read_text(encoding="utf-8"))
        anchors = content["anchors"]
        return cls(
            name=content["name"],
            version=content["version"],
            variant=content["variant"],
            class_names=tuple(content["class_names"]),
            strides=tuple(content["strides"]),
            anchors=anchors and tuple(tuple((w, h) for w, h in level) for level in anchors),
            reg_max=content["reg_max"],
            image_size=content["image_size"],
            precision=content["precision"],
            engine=content["engine"],
            licence=content["licence"],
            weights_sha256=content["weights_sha256"],
        )

    def head(self, folder: Path) -> AnchorHead | AnchorFreeHead:
        """The head that decodes this network's maps; that of a network with anchors has weights in `folder`."""
        if self.anchors is not None:
            return AnchorHead.load(folder / HEAD_FILE, self.strides, self.anchors)
        if self.reg_max is None:
            raise ValueError("model.json has neither anchors nor reg_max: the archive is damaged, build it again")
        return AnchorFreeHead(self.strides, self.reg_max)
