"""The pictures of the embedded model: their boxes are exact, and the pictures vary."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from demo_model import generator
from demo_model.generator import CLASS_NAMES, LabelledPicture, draw
from demo_model.outlines import FULL_COVERAGE, Shape, area_of, corners_of, coverage

SCRIPTS = Path(generator.__file__).parents[1]
SEEDS = range(20_000_000, 20_000_060)


@pytest.fixture(scope="module")
def pictures() -> list[LabelledPicture]:
    return [draw(seed) for seed in SEEDS]


def digest(picture: LabelledPicture) -> str:
    arrays = (picture.image, picture.boxes_xyxy, picture.class_ids)
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def covered_pixels_slowly(shape: Shape, size_hw: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels whose centre is inside the outline, by counting the edges to the right of every centre."""
    corners = corners_of(shape)
    inside = np.zeros(size_hw, dtype=bool)
    for row, column in np.ndindex(size_hw):
        x, y = column + 0.5, row + 0.5
        for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
            if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
                inside[row, column] = not inside[row, column]
    return inside


def box_slowly(mask: NDArray[np.bool_]) -> list[int]:
    """The smallest box around the true pixels, from the list of all true pixels."""
    rows, columns = np.nonzero(mask)
    return [int(min(columns)), int(min(rows)), int(max(columns)) + 1, int(max(rows)) + 1]


def iou(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    top_left, bottom_right = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    shared = np.prod(np.maximum(bottom_right - top_left, 0))
    total = np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2])
    return float(shared / (total - shared))


def drawn_shapes(seed: int, monkeypatch: pytest.MonkeyPatch) -> tuple[LabelledPicture, list[Shape]]:
    """The picture of a seed, and its shapes in the order of drawing."""
    canvases: list[generator._Canvas] = []
    make_background = generator._background

    def record(rng: np.random.Generator) -> generator._Canvas:
        canvases.append(make_background(rng))
        return canvases[-1]

    monkeypatch.setattr(generator, "_background", record)
    picture = draw(seed)
    return picture, canvases[0].shapes


def test_a_picture_has_rgb_bytes_and_a_box_for_every_class_id(pictures: list[LabelledPicture]) -> None:
    for picture in pictures:
        assert picture.image.dtype == np.uint8
        assert picture.image.shape == (*picture.image.shape[:2], 3)
        assert picture.boxes_xyxy.dtype == np.float32
        assert picture.class_ids.dtype == np.int64
        assert picture.boxes_xyxy.shape == (len(picture.class_ids), 4)


def test_the_same_seed_draws_the_same_picture(pictures: list[LabelledPicture]) -> None:
    assert [digest(draw(seed)) for seed in SEEDS[:5]] == [digest(picture) for picture in pictures[:5]]


def test_another_process_draws_the_same_picture(pictures: list[LabelledPicture]) -> None:
    program = (
        "import hashlib; from demo_model.generator import draw; "
        f"p = draw({SEEDS[0]}); "
        "print(hashlib.sha256(p.image.tobytes() + p.boxes_xyxy.tobytes() + p.class_ids.tobytes()).hexdigest())"
    )
    environment = {"PYTHONHASHSEED": "12345"}
    output = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)
    assert output.strip() == digest(pictures[0])


def test_pictures_do_not_change_between_versions() -> None:
    assert digest(draw(10_000_000)) == "ce9e583dc50ba6369053c61183d8faeefad2ce428939c597469fcf2b99086ed0"


def test_no_two_pictures_are_equal(pictures: list[LabelledPicture]) -> None:
    assert len({digest(picture) for picture in pictures}) == len(pictures)


def test_boxes_lie_inside_the_picture_and_have_whole_pixel_edges(pictures: list[LabelledPicture]) -> None:
    for picture in pictures:
        height, width = picture.image.shape[:2]
        assert (picture.boxes_xyxy >= 0).all()
        assert (picture.boxes_xyxy[:, 2:] <= [width, height]).all()
        assert (picture.boxes_xyxy[:, :2] < picture.boxes_xyxy[:, 2:]).all()
        assert np.array_equal(picture.boxes_xyxy, np.round(picture.boxes_xyxy))


@pytest.mark.parametrize("seed", SEEDS[:12])
def test_boxes_are_tight_around_the_visible_pixels(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    picture, shapes = drawn_shapes(seed, monkeypatch)
    size_hw = picture.image.shape[:2]
    masks = [coverage(shape, size_hw) * 2 >= FULL_COVERAGE for shape in shapes]
    expected = []
    for index, mask in enumerate(masks):
        hidden = np.any([np.zeros(size_hw, dtype=bool), *masks[index + 1 :]], axis=0)
        expected.append(box_slowly(mask & ~hidden))
    assert picture.boxes_xyxy.tolist() == expected
    assert picture.class_ids.tolist() == [shape.class_id for shape in shapes]


@pytest.mark.parametrize("class_id", range(len(CLASS_NAMES)), ids=CLASS_NAMES)
@pytest.mark.parametrize("centre_xy", [(30.0, 25.0), (28.7, 26.4), (8.0, 50.0)], ids=["inside", "subpixel", "cropped"])
def test_a_shape_covers_the_pixels_inside_its_outline(class_id: int, centre_xy: tuple[float, float]) -> None:
    shape = Shape(class_id, centre_xy, radius=20.3, angle=0.4)
    mask, expected = coverage(shape, (56, 60)) * 2 >= FULL_COVERAGE, covered_pixels_slowly(shape, (56, 60))
    # They differ only along the edge: covering half of a pixel is not the same as covering its centre.
    assert np.count_nonzero(mask != expected) <= 0.1 * np.count_nonzero(expected)
    assert np.abs(np.subtract(box_slowly(mask), box_slowly(expected))).max() <= 1


def test_a_shape_outside_the_picture_covers_nothing() -> None:
    assert not coverage(Shape(0, (-50.0, 10.0), radius=20.0, angle=0.0), (40, 40)).any()


@pytest.mark.parametrize(
    ("class_name", "expected"),
    [("circle", math.pi), ("square", 2.0), ("triangle", 0.75 * math.sqrt(3)), ("cross", 4 * 0.33 * (2 * 0.94 - 0.33))],
)
def test_the_area_of_an_outline_is_exact(class_name: str, expected: float) -> None:
    shape = Shape(CLASS_NAMES.index(class_name), (5.0, 7.0), radius=10.0, angle=1.0)
    assert area_of(shape) == pytest.approx(100 * expected, rel=0.005)


@pytest.mark.parametrize("seed", SEEDS[12:24])
def test_most_of_every_shape_is_visible(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    picture, shapes = drawn_shapes(seed, monkeypatch)
    size_hw = picture.image.shape[:2]
    hidden = np.zeros(size_hw, dtype=bool)
    for shape in reversed(shapes):
        mask = coverage(shape, size_hw) * 2 >= FULL_COVERAGE
        assert np.count_nonzero(mask & ~hidden) >= generator.MIN_VISIBLE * round(area_of(shape))
        hidden |= mask


def test_suppression_keeps_all_boxes(pictures: list[LabelledPicture]) -> None:
    for picture in pictures:
        assert all(iou(first, second) < 0.45 for first, second in combinations(picture.boxes_xyxy, 2))


def test_every_shape_is_large_enough_to_be_recognised(pictures: list[LabelledPicture]) -> None:
    for picture in pictures:
        sizes = (picture.boxes_xyxy[:, 2:] - picture.boxes_xyxy[:, :2]).max(axis=1, initial=0)
        assert (sizes[: len(picture.class_ids)] * 320 / max(picture.image.shape) >= 18).all()


def test_pictures_vary_in_classes_counts_sizes_and_formats(pictures: list[LabelledPicture]) -> None:
    classes = Counter(class_id for picture in pictures for class_id in picture.class_ids.tolist())
    assert set(classes) == set(range(len(CLASS_NAMES)))
    assert max(classes.values()) < 3 * min(classes.values())
    counts = [len(picture.class_ids) for picture in pictures]
    assert min(counts) <= 1
    assert max(counts) >= 8
    shares = np.concatenate([np.diff(p.boxes_xyxy[:, ::2])[:, 0] / p.image.shape[1] for p in pictures])
    assert shares.min() < 0.1
    assert shares.max() > 0.4
    ratios = [picture.image.shape[1] / picture.image.shape[0] for picture in pictures]
    assert min(ratios) < 0.7
    assert max(ratios) > 1.4
    assert len({picture.image.shape for picture in pictures}) > 50


def test_a_picture_may_be_empty() -> None:
    empty = next(picture for picture in map(draw, range(20_000_000, 20_000_200)) if not len(picture.class_ids))
    assert empty.boxes_xyxy.shape == (0, 4)
    assert empty.class_ids.shape == (0,)
