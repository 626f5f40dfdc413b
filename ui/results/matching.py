"""What one model found in a picture and another did not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from service.client import Detection

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Match:
    """One object, and each model's detection of it; None where a model missed it."""

    class_name: str
    members: tuple[Detection | None, ...]

    @property
    def finders(self) -> tuple[int, ...]:
        """Indices of the models that found it."""
        return tuple(index for index, member in enumerate(self.members) if member)

    @property
    def found_by_all(self) -> bool:
        """Whether no model missed it."""
        return all(self.members)

    @property
    def confidence(self) -> float:
        """The greatest confidence that a model has in it."""
        return max(member.confidence for member in self.members if member)


def match(answers: Sequence[Sequence[Detection]], iou: float = 0.5) -> list[Match]:
    """The objects in one picture, of several models' detections of it, the most confident first.

    Two detections are of one object if they are of two models, of one class by name, and their IoU >= iou. The pairs
    that overlap most are joined first; what is joined holds at most one detection of each model.
    """
    groups = {(model, index): {model: index} for model, found in enumerate(answers) for index in range(len(found))}
    for first, second in _pairs(answers, iou):
        one, other = groups[first], groups[second]
        if one is not other and not one.keys() & other.keys():
            joined = one | other
            groups |= dict.fromkeys(joined.items(), joined)
    unique = {id(group): group for group in groups.values()}.values()
    matches = [_match(group, answers) for group in unique]
    return sorted(matches, key=lambda match: -match.confidence)


def iou_of(first: Box, second: Box) -> float:
    """Shared area of two boxes (xyxy) over the area of both together; 0 where neither has any."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(0.0, width) * max(0.0, height)
    both = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)) - shared
    return shared / both if both > 0 else 0.0


def _pairs(answers: Sequence[Sequence[Detection]], iou: float) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pairs of detections, as (model, index), that may be of one object; those that overlap most first."""
    found = []
    for first, second in combinations(range(len(answers)), 2):
        for i, one in enumerate(answers[first]):
            for j, other in enumerate(answers[second]):
                if one.class_name == other.class_name and (overlap := iou_of(one.xyxy, other.xyxy)) >= iou:
                    found.append((-overlap, (first, i), (second, j)))
    return [(one, other) for _, one, other in sorted(found)]


def _match(group: dict[int, int], answers: Sequence[Sequence[Detection]]) -> Match:
    members = tuple(found[group[model]] if model in group else None for model, found in enumerate(answers))
    name = next(member.class_name for member in members if member)
    return Match(name, members)
