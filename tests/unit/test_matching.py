from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from detection.suppression import Candidates, suppress
from results.filtering import above_confidence
from results.matching import iou_of, match
from service.answers import Detection
from support.detections import answer, detection

CAT, DOG = "cat", "dog"
A = (0.0, 0.0, 10.0, 10.0)
HALF = (0.0, 0.0, 10.0, 5.0)  # IoU with A is exactly 0.5
FAR = (50.0, 50.0, 60.0, 60.0)


def detections(*boxes: tuple[tuple[float, float, float, float], str]) -> list[Detection]:
    return [detection(xyxy, name=name, confidence=0.9 - 0.1 * index) for index, (xyxy, name) in enumerate(boxes)]


@pytest.mark.parametrize(
    ("answers", "finders"),
    [
        ([[], []], []),
        ([detections((A, CAT)), []], [(0,)]),
        ([detections((A, CAT)), detections((A, CAT))], [(0, 1)]),
        ([detections((A, CAT)), detections((HALF, CAT))], [(0, 1)]),
        ([detections((A, CAT)), detections((A, DOG))], [(0,), (1,)]),
        ([detections((A, CAT)), detections((FAR, CAT))], [(0,), (1,)]),
        ([detections((A, CAT), (HALF, CAT)), detections((A, CAT))], [(0, 1), (0,)]),
        ([detections((A, CAT)), detections((A, CAT)), detections((A, CAT))], [(0, 1, 2)]),
        ([detections((A, CAT)), [], detections((HALF, CAT))], [(0, 2)]),
    ],
)
def test_one_object_is_matched_by_class_and_overlap(
    answers: list[list[Detection]], finders: list[tuple[int, ...]]
) -> None:
    assert sorted(each.finders for each in match(answers, 0.5)) == sorted(finders)


def slow_match(answers: list[list[Detection]], iou: float) -> set[frozenset[tuple[int, int]]]:
    """Joins the two groups with the highest IoU of members, again and again, until no two may be joined."""
    groups = [{(model, index)} for model, found in enumerate(answers) for index in range(len(found))]
    while True:
        best = None
        for one, other in combinations(range(len(groups)), 2):
            if {model for model, _ in groups[one]} & {model for model, _ in groups[other]}:
                continue
            for first in groups[one]:
                for second in groups[other]:
                    a, b = answers[first[0]][first[1]], answers[second[0]][second[1]]
                    low, high = sorted((first, second))
                    rank = (-iou_of(a.xyxy, b.xyxy), low, high)
                    if a.class_name == b.class_name and -rank[0] >= iou and (best is None or rank < best[0]):
                        best = (rank, one, other)
        if best is None:
            return {frozenset(group) for group in groups}
        groups[best[1]] |= groups.pop(best[2])


@pytest.mark.parametrize("seed", range(30))
def test_it_agrees_with_a_slow_and_simple_matching(seed: int) -> None:
    generator = np.random.default_rng(seed)
    answers = [
        [
            detection((float(x), float(y), float(x) + 10, float(y) + 10), name=(CAT, DOG)[int(kind)])
            for x, y, kind in generator.integers(0, [16, 16, 2], (int(generator.integers(0, 7)), 3))
        ]
        for _ in range(3)
    ]
    place = {id(each): (model, index) for model, found in enumerate(answers) for index, each in enumerate(found)}
    matches = {
        frozenset(place[id(member)] for member in each.members if member is not None) for each in match(answers, 0.4)
    }
    assert matches == slow_match(answers, 0.4)


@pytest.mark.parametrize("limit", [5, 40, 1000])
@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_raising_the_threshold_gives_the_answer_of_a_new_request(seed: int, agnostic: bool, limit: int) -> None:
    generator = np.random.default_rng(seed)
    corner = generator.uniform(0, 100, (200, 2))
    boxes = np.concatenate([corner, corner + generator.uniform(5, 60, (200, 2))], axis=1).astype(np.float32)
    confidences = ((generator.permutation(200) + 0.5) / 200).astype(np.float32)
    classes = generator.integers(0, 3, 200)

    def served(threshold: float) -> list[Detection]:
        """What the service's own suppression keeps."""
        rows = np.flatnonzero(confidences > threshold)
        kept = suppress(Candidates(boxes[rows], confidences[rows], classes[rows]), 0.45, limit, agnostic)
        return [
            detection(tuple(box), class_id, str(class_id), confidence)
            for box, class_id, confidence in zip(
                kept.boxes.tolist(), kept.class_ids.tolist(), kept.confidences.tolist(), strict=True
            )
        ]

    low = answer(served(0.25))
    for threshold in (0.25, 0.33, 0.5, 0.71, 0.99):
        raised = above_confidence(low, threshold)
        assert list(raised.detections) == served(threshold)
        assert len(raised.document["detections"]) == len(raised.detections)
