from __future__ import annotations

import numpy as np
import pytest

from detection.letterbox import GREY, Letterbox


@pytest.mark.parametrize(
    ("image_hw", "image_size", "input_hw", "resized_hw"),
    [
        ((640, 640), 640, (640, 640), (640, 640)),
        ((1080, 810), 640, (640, 480), (640, 480)),
        ((427, 640), 640, (448, 640), (427, 640)),
        ((20, 40), 640, (320, 640), (320, 640)),  # scaled up
        ((1, 1), 32, (32, 32), (32, 32)),
        ((1, 4000), 640, (32, 640), (1, 640)),  # at least one row
        ((4000, 1), 640, (640, 32), (640, 1)),
        ((500, 333), 100, (128, 96), (128, 85)),  # no multiple of the stride: rounded up
    ],
)
def test_fits_as_the_hub_model_does(
    image_hw: tuple[int, int], image_size: int, input_hw: tuple[int, int], resized_hw: tuple[int, int]
) -> None:
    letterbox = Letterbox.fit(image_hw, image_size, 32)
    assert letterbox.input_hw == input_hw
    assert letterbox.resized_hw == resized_hw


def test_an_image_of_the_input_size_is_not_changed() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    np.testing.assert_array_equal(Letterbox.fit((64, 96), 96, 32).apply(image), image)


def test_the_padding_is_grey_and_half_on_each_end() -> None:
    pixels = Letterbox.fit((50, 96), 96, 32).apply(np.zeros((50, 96, 3), np.uint8))
    assert pixels.shape == (64, 96, 3)
    assert (pixels[:7] == GREY).all()
    assert (pixels[7:57] == 0).all()
    assert (pixels[57:] == GREY).all()


@pytest.mark.parametrize("image_hw", [(480, 640), (1080, 810), (333, 500), (37, 21), (1, 4000)])
def test_boxes_are_mapped_back_to_the_image(image_hw: tuple[int, int]) -> None:
    letterbox = Letterbox.fit(image_hw, 640, 32)
    height, width = image_hw
    original = np.array([[0, 0, width, height], [width / 4, height / 4, width / 2, height / 2]], np.float32)
    pad_x = (letterbox.input_hw[1] - width * letterbox.scale) / 2
    pad_y = (letterbox.input_hw[0] - height * letterbox.scale) / 2
    boxed = original * letterbox.scale + np.array([pad_x, pad_y, pad_x, pad_y])
    np.testing.assert_allclose(letterbox.invert(boxed.astype(np.float32)), original, atol=2e-3)


def test_boxes_are_clipped_to_the_image() -> None:
    letterbox = Letterbox.fit((100, 200), 640, 32)
    clipped = letterbox.invert(np.array([[-50, -50, 2000, 2000]], np.float32))
    assert clipped.tolist() == [[0, 0, 200, 100]]
    assert clipped.dtype == np.float32
