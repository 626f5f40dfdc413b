from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from archiver.checkpoint.modules import Network
from archiver.checkpoint.reader import load_checkpoint
from archiver.errors import CheckpointError
from archiver.export.split_head import split_head
from checkpoint_factory.checkpoints import build_anchor_free, build_checkpoint
from checkpoint_factory.random_weights import random_images
from detection.head import AnchorHead

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_features_and_head_weights_give_the_complete_maps(tmp_path: Path) -> None:
    loaded = load_checkpoint(build_checkpoint("n", tmp_path / "n.pt", ["cat", "dog"]))
    assert loaded.anchors
    split = split_head(loaded.network, loaded.anchors)
    [file] = split.save(tmp_path)
    head = AnchorHead.load(file, loaded.strides, loaded.anchors)
    with torch.inference_mode():
        image = random_images(1, 128)
        complete = [raw.numpy() for raw in loaded.network(image)]
        maps = [raw.numpy() for raw in split.network(image)]
    for index, raw in enumerate(complete):
        values = raw.reshape(1, 3, 7, *raw.shape[2:])
        np.testing.assert_allclose(maps[2 * index], values[:, :, 4], atol=1e-4)
        product = np.einsum("avc,ncyx->navyx", head.weights[index], maps[2 * index + 1])
        np.testing.assert_allclose(product + head.biases[index][None, :, :, None, None], values, atol=1e-4)


def test_the_network_itself_is_not_changed(tmp_path: Path) -> None:
    loaded = load_checkpoint(build_checkpoint("n", tmp_path / "n.pt", ["cat", "dog"]))
    split_head(loaded.network, loaded.anchors)
    with torch.inference_mode():
        assert [raw.shape[1] for raw in loaded.network(torch.zeros(1, 3, 64, 64))] == [21, 21, 21]


def test_the_file_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    loaded = load_checkpoint(build_checkpoint("n", tmp_path / "n.pt", ["cat", "dog"]))
    contents = []
    for _ in range(2):
        [file] = split_head(loaded.network, loaded.anchors).save(tmp_path)
        contents.append(file.read_bytes())
    assert contents[0] == contents[1]


def test_an_anchor_free_network_is_not_split(tmp_path: Path) -> None:
    loaded = load_checkpoint(build_anchor_free(tmp_path / "nu.pt", ["cat", "dog"]))
    split = split_head(loaded.network, None)
    assert split.network is loaded.network
    assert split.output_names == ("map0", "map1", "map2")
    assert split.save(tmp_path) == ()


@pytest.mark.parametrize("head", [nn.Conv2d(8, 21, 3), nn.Conv2d(8, 21, 1, bias=False), nn.Identity()])
def test_a_head_of_another_kind_is_rejected(head: nn.Module) -> None:
    with pytest.raises(CheckpointError, match="1 x 1"):
        split_head(Network([nn.Identity()], [(-1,)], [head], (0,)), (((1.0, 1.0),) * 3,))
