"""The request options: how they are parsed, and that each place that repeats them agrees with the records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from detection.option_parser import parse_options
from detection.options import BOUNDS, NAMES, OPTIONS, Options
from page.model_options import DEFAULTS as PAGE_DEFAULTS
from server.commands import detect
from support.contract import load_document, resolved

ROOT = Path(__file__).parents[2]
CLASS_NAMES = ("person", "traffic light", "dog, small", "7")
MODEL_DEFAULTS = Options(image_size=320)


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
def test_options_are_parsed_from_text_and_from_json(values: Mapping[str, object], expected: dict[str, Any]) -> None:
    parsed = parse_options(values, MODEL_DEFAULTS, CLASS_NAMES)
    assert parsed == Options(**{"image_size": 320, **expected})


@pytest.mark.parametrize(
    ("values", "messages"),
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
def test_an_error_names_the_option_its_value_and_the_expected_values(
    values: Mapping[str, object], messages: list[str]
) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_options(values, MODEL_DEFAULTS, CLASS_NAMES)
    assert all(message in str(caught.value) for message in messages), str(caught.value)
    assert len(str(caught.value)) < 300


def test_the_records_are_those_of_the_options() -> None:
    assert {option.name: option.default for option in OPTIONS} == vars(Options())
    assert all(low <= getattr(Options(), name) <= high for name, (low, high) in BOUNDS.items())
    assert {option.kind for option in OPTIONS if option.bounds} == {"number", "integer"}


def test_openapi_has_the_bounds_and_defaults_of_the_records() -> None:
    document = load_document()
    schemas = document["components"]["schemas"]
    form = schemas["Form"]["properties"]
    assert set(form) - {"image"} == set(NAMES)
    documented = {name: resolved(document, form[name]) for name in form}
    assert {name: (documented[name]["minimum"], documented[name]["maximum"]) for name in BOUNDS} == BOUNDS
    defaults = {option.name: option.default for option in OPTIONS if option.name != "classes"}
    assert {name: documented[name]["default"] for name in defaults} == defaults
    for holder in (schemas["OnePicture"], schemas["SeveralPictures"], schemas["Instances"]["properties"]["parameters"]):
        assert set(NAMES) <= set(holder["properties"])
    query = {parameter["name"] for parameter in document["paths"]["/invocations"]["post"]["parameters"]}
    assert query == {*NAMES, "model_name"}


def test_openapi_describes_the_defaults_of_a_model() -> None:
    described = load_document()["components"]["schemas"]["Metadata"]["properties"]["defaults"]["properties"]
    assert set(described) == set(NAMES)


def test_model_config_sets_only_defaults_that_differ() -> None:
    config = yaml.safe_load((ROOT / "handler" / "model-config.yaml").read_text())
    for name, value in config["detection"].get("options", {}).items():
        assert value != getattr(Options(), name)


def test_the_command_detect_has_an_argument_for_each_option() -> None:
    values = {"confidence": 0.4, "iou": 0.5, "classes": "cat,1", "max_detections": 7, "image_size": 320}
    arguments = [text for name, value in values.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    parsed = detect._parser().parse_args(["a.jpg", *arguments, "--agnostic", "--multi-label"])
    assert detect._options(parsed) == {**values, "agnostic": True, "multi_label": True}
    assert set(detect._options(parsed)) == set(NAMES)
    assert detect._options(detect._parser().parse_args(["a.jpg"])) == {}  # the service has the defaults


def page_with_options() -> None:
    from page import model_options

    version = model_options.ServedVersion("shapes", "1.0", "ready")
    model_options.choose_options("http://127.0.0.1:8080", version, model_options.SIMULATED_CARD)


def test_the_page_has_the_defaults_of_the_records_and_stays_within_their_bounds() -> None:
    app = AppTest.from_function(page_with_options, default_timeout=30).run()
    assert not app.exception
    widgets = {widget.key.split(" of ")[0]: widget for widget in (*app.slider, *app.number_input)}
    for name, widget in widgets.items():
        low, high = BOUNDS[name]
        assert widget.value == getattr(Options(), name), name
        assert low <= widget.min <= widget.value <= widget.max <= high, name
    [size] = app.select_slider
    assert size.key is not None
    assert size.key.startswith("image_size of ")
    assert size.value == Options().image_size
    low, high = BOUNDS["image_size"]
    assert all(low <= int(option) <= high for option in size.options)
    assert {*widgets, "image_size"} == set(BOUNDS)
    assert all(getattr(Options(), name) == value for name, value in PAGE_DEFAULTS.items())
