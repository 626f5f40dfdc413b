from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from archiver.checkpoint.modules import Network
from archiver.checkpoint.reader import load_checkpoint
from archiver.errors import CheckpointError
from archiver.export.split_head import cut
from checkpoint_factory.checkpoints import build_anchor_free, build_checkpoint
from checkpoint_factory.random_weights import patchwork
from detection.head import AnchorHead

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def test_features_and_weights_make_the_whole_maps(tmp_path: Path) -> None:
    loaded = load_checkpoint(build_checkpoint("n", tmp_path / "n.pt", ["cat", "dog"]))
    assert loaded.anchors
    parts = cut(loaded.network, loaded.anchors)
    [file] = parts.save(tmp_path)
    head = AnchorHead.load(file, loaded.strides, loaded.anchors)
    with torch.inference_mode():
        image = patchwork(1, 128)
        whole = [one.numpy() for one in loaded.network(image)]
        maps = [one.numpy() for one in parts.network(image)]
    for index, raw in enumerate(whole):
        values = raw.reshape(1, 3, 7, *raw.shape[2:])
        np.testing.assert_allclose(maps[2 * index], values[:, :, 4], atol=1e-4)
        product = np.einsum("avc,ncyx->navyx", head.weights[index], maps[2 * index + 1])
        np.testing.assert_allclose(product + head.biases[index][None, :, :, None, None], values, atol=1e-4)


def test_the_network_itself_is_not_changed(tmp_path: Path) -> None:
    loaded = load_checkpoint(build_checkpoint("n", tmp_path / "n.pt", ["cat", "dog"]))
    cut(loaded.network, loaded.anchors)
    with torch.inference_mode():
        assert [one.shape[1] for one in loaded.network(torch.zeros(1, 3, 64, 64))] == [21, 21, 21]


def test_the_file_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    loaded = load_checkpoint(build_checkpoint("n", tmp_path / "n.pt", ["cat", "dog"]))
    contents = []
    for _ in range(2):
        [file] = cut(loaded.network, loaded.anchors).save(tmp_path)
        contents.append(file.read_bytes())
    assert contents[0] == contents[1]


def test_an_anchor_free_network_stays_whole(tmp_path: Path) -> None:
    loaded = load_checkpoint(build_anchor_free(tmp_path / "nu.pt", ["cat", "dog"]))
    parts = cut(loaded.network, None)
    assert parts.network is loaded.network
    assert parts.outputs == ("map0", "map1", "map2")
    assert parts.save(tmp_path) == ()


@pytest.mark.parametrize("head", [nn.Conv2d(8, 21, 3), nn.Conv2d(8, 21, 1, bias=False), nn.Identity()])
def test_a_head_of_another_kind_is_refused(head: nn.Module) -> None:
    with pytest.raises(CheckpointError, match="1 x 1"):
        cut(Network([nn.Identity()], [(-1,)], [head], (0,)), (((1.0, 1.0),) * 3,))
