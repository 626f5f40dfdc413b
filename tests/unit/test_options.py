from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from detection.options import Options, parse_options

NAMES = ("person", "traffic light", "dog, small", "7")
DEFAULTS = Options(image_size=320)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {}),
        ({"confidence": 0.4}, {"confidence": 0.4}),
        ({"confidence": "0.4"}, {"confidence": 0.4}),
        ({"confidence": b"0.4"}, {"confidence": 0.4}),
        ({"confidence": 0, "iou": 1}, {"confidence": 0.0, "iou": 1.0}),
        ({"max_detections": "7", "image_size": bytearray(b"640")}, {"max_detections": 7, "image_size": 640}),
        ({"max_detections": 7.0}, {"max_detections": 7}),
        ({"agnostic": True, "multi_label": "TRUE"}, {"agnostic": True, "multi_label": True}),
        ({"agnostic": "0", "multi_label": 1}, {"agnostic": False, "multi_label": True}),
        ({"classes": ["person", 2]}, {"classes": (0, 2)}),
        ({"classes": "traffic light, 0"}, {"classes": (0, 1)}),
        ({"classes": "dog, small"}, {"classes": (2,)}),  # a name may hold a comma
        ({"classes": "7"}, {"classes": (3,)}),  # a name that looks like a number is a name
        ({"classes": 1}, {"classes": (1,)}),
        ({"classes": [0, 0, "person"]}, {"classes": (0,)}),
    ],
)
def test_what_a_client_sends_becomes_options(values: Mapping[str, object], expected: dict[str, Any]) -> None:
    parsed = parse_options(values, DEFAULTS, NAMES)
    assert parsed == Options(**{"image_size": 320, **expected})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"conf": 0.4}, ["'conf'", "confidence, iou, classes"]),
        ({"confidence": 1.5}, ["confidence", "1.5", "from 0 to 1"]),
        ({"confidence": -0.1}, ["confidence", "-0.1"]),
        ({"confidence": "nan"}, ["confidence", "'nan'"]),
        ({"confidence": float("inf")}, ["confidence", "inf"]),
        ({"confidence": True}, ["confidence", "True", "a number"]),
        ({"confidence": None}, ["confidence", "None"]),
        ({"confidence": {}}, ["confidence", "dict"]),
        ({"confidence": 10**400}, ["confidence", "a number from 0 to 1"]),
        ({"confidence": "0,4"}, ["confidence", "'0,4'"]),
        ({"iou": b"\xff"}, ["iou", "UTF-8"]),
        ({"max_detections": 0}, ["max_detections", "0", "a whole number from 1 to 1000"]),
        ({"max_detections": 2.5}, ["max_detections", "2.5"]),
        ({"image_size": 31}, ["image_size", "31", "from 32 to 1280"]),
        ({"agnostic": "yes"}, ["agnostic", "'yes'", "true or false"]),
        ({"agnostic": 2}, ["agnostic", "2"]),
        ({"multi_label": [True]}, ["multi_label", "list"]),
        ({"classes": []}, ["classes", "empty"]),
        ({"classes": ""}, ["classes", "''"]),
        ({"classes": "cat"}, ["'cat'", "person, traffic light", "0 to 3"]),
        ({"classes": [4]}, ["4", "0 to 3"]),
        ({"classes": [1.5]}, ["1.5"]),
        ({"classes": [True]}, ["True"]),
        ({"classes": [[0]]}, ["list"]),
        ({"confidence": "x" * 5000}, ["5002 characters"]),
    ],
)
def test_what_is_wrong_is_named_with_what_was_expected(values: Mapping[str, object], words: list[str]) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_options(values, DEFAULTS, NAMES)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert len(str(caught.value)) < 300
