"""Matching the detections of several models in one picture, to show which objects a model missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from service.answers import Detection

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Match:
    """One object, and each model's detection of it; None for a model that missed it."""

    class_name: str
    members: tuple[Detection | None, ...]

    @property
    def finders(self) -> tuple[int, ...]:
        """The indices of the models that found the object."""
        return tuple(index for index, member in enumerate(self.members) if member)

    @property
    def found_by_all(self) -> bool:
        """Whether no model missed the object."""
        return all(self.members)

    @property
    def confidence(self) -> float:
        """The highest confidence of a model in the object."""
        return max(member.confidence for member in self.members if member)


def match(answers: Sequence[Sequence[Detection]], iou: float = 0.5) -> list[Match]:
    """The objects in one picture, from the detections of several models, the most confident first.

    Two detections are of one object if they are of different models, have the same class name, and their IoU >= iou.
    Pairs are joined in the order of their IoU, highest first. A match has at most one detection of each model.
    """
    groups = {(model, index): {model: index} for model, found in enumerate(answers) for index in range(len(found))}
    for first, second in _pairs(answers, iou):
        group, other = groups[first], groups[second]
        if group is not other and not group.keys() & other.keys():
            joined = group | other
            groups |= dict.fromkeys(joined.items(), joined)
    unique = {id(group): group for group in groups.values()}.values()
    matches = [_match(group, answers) for group in unique]
    return sorted(matches, key=lambda match: -match.confidence)


def iou_of(first: Box, second: Box) -> float:
    """Intersection over union of two boxes (xyxy), 0..1; 0 for two boxes without area."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    intersection = max(0.0, width) * max(0.0, height)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)) - intersection
    return intersection / union if union > 0 else 0.0


def _pairs(answers: Sequence[Sequence[Detection]], iou: float) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pairs of detections, as (model, index), that may be of one object, the highest IoU first."""
    pairs = []
    for first, second in combinations(range(len(answers)), 2):
        for i, detection in enumerate(answers[first]):
            for j, other in enumerate(answers[second]):
                if detection.class_name == other.class_name and (overlap := iou_of(detection.xyxy, other.xyxy)) >= iou:
                    pairs.append((-overlap, (first, i), (second, j)))
    return [(first_key, second_key) for _, first_key, second_key in sorted(pairs)]


def _match(group: dict[int, int], answers: Sequence[Sequence[Detection]]) -> Match:
    members = tuple(found[group[model]] if model in group else None for model, found in enumerate(answers))
    name = next(member.class_name for member in members if member)
    return Match(name, members)
