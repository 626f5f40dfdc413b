from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from detection.detector import Task
from detection.errors import DetectionError, InvalidOption, InvalidRequest
from detection.options import Options
from detection.request import MAX_IMAGES, Contract

CONTRACT = Contract("yolov5s", ("person", "bus"), Options())
PICTURE = b"\xff\xd8\xff picture"
TEXT = base64.b64encode(PICTURE).decode()


def row(document: object) -> dict[str, object]:
    return {"body": bytearray(json.dumps(document).encode())}


@pytest.mark.parametrize(
    "sent",
    [
        {"body": PICTURE},
        {"body": bytearray(PICTURE)},
        {"body": PICTURE, "model_name": b"yolov5s"},  # TorchServe's own query parameter
        {"image": PICTURE},
        row({"image": TEXT}),
        row({"image": TEXT, "model": "yolov5s"}),
        row({"image": f"data:image/jpeg;base64,{TEXT}"}),
        row({"image": f"data:image/png;charset=utf-8;base64,{TEXT}"}),
        row({"image": "\n".join(TEXT[index : index + 4] for index in range(0, len(TEXT), 4))}),
        {"body": {"image": TEXT}},  # parsed by TorchServe already
        {"body": b"  \n" + json.dumps({"image": TEXT}).encode()},
        {"body": b"\xef\xbb\xbf" + json.dumps({"image": TEXT}).encode()},  # a byte order mark, as some editors write
    ],
)
def test_every_form_of_one_picture_is_the_same_task(sent: dict[str, object]) -> None:
    request = CONTRACT.parse(sent)
    assert request.form == "one"
    assert request.tasks == (Task(PICTURE, Options()),)


@pytest.mark.parametrize(
    "sent",
    [
        {"body": PICTURE, "confidence": b"0.5", "classes": b"bus"},
        {"image": PICTURE, "confidence": b"0.5", "classes": b"1"},
        row({"image": TEXT, "confidence": 0.5, "classes": ["bus"]}),
        {**row({"image": TEXT, "confidence": 0.5}), "classes": b"bus"},
    ],
)
def test_options_come_with_every_form(sent: dict[str, object]) -> None:
    [task] = CONTRACT.parse(sent).tasks
    assert isinstance(task, Task)
    assert task.options == Options(confidence=0.5, classes=(1,))


@pytest.mark.parametrize(
    ("sent", "form"),
    [
        (row({"images": [TEXT, TEXT], "iou": 0.5}), "list"),
        (row({"instances": [{"image": {"b64": TEXT}}, {"image": TEXT}], "parameters": {"iou": 0.5}}), "predictions"),
        ({"instances": [{"b64": TEXT}, TEXT], "parameters": {"iou": 0.5}}, "predictions"),
    ],
)
def test_several_pictures_are_several_tasks(sent: dict[str, object], form: str) -> None:
    request = CONTRACT.parse(sent)
    assert request.form == form
    assert request.tasks == (Task(PICTURE, Options(iou=0.5)),) * 2


@pytest.mark.parametrize("key", ["images", "instances"])
def test_a_bad_picture_among_several_keeps_its_place(key: str) -> None:
    request = CONTRACT.parse(row({key: [TEXT, 7, "###"]}))
    good, number, garbage = request.tasks
    assert isinstance(good, Task)
    assert isinstance(number, DetectionError)
    assert isinstance(garbage, DetectionError)
    assert f"{key}[1]" in str(number)
    assert f"{key}[2]" in str(garbage)


@pytest.mark.parametrize(
    ("sent", "error", "words"),
    [
        ({}, InvalidRequest, "fields: none"),
        ({"picture": PICTURE}, InvalidRequest, "fields: 'picture'"),
        (row({}), InvalidRequest, "`image` (base64 text) or `images`"),
        (row({"image": TEXT, "images": [TEXT]}), InvalidRequest, "either"),
        (row([TEXT]), InvalidRequest, "is list; expected an object"),
        (row({"image": 5}), InvalidRequest, "`image` is 5"),
        (row({"image": "###"}), InvalidRequest, "`image` is not base64"),
        (row({"image": "абв"}), InvalidRequest, "`image` is not base64"),
        (row({"images": []}), InvalidRequest, "a list of 0"),
        (row({"images": [TEXT] * (MAX_IMAGES + 1)}), InvalidRequest, f"1 to {MAX_IMAGES}"),
        (row({"images": TEXT}), InvalidRequest, "expected a list"),
        (row({"image": TEXT, "model": "yolov5m"}), InvalidRequest, "'yolov5m', but this address serves 'yolov5s'"),
        (row({"image": TEXT, "colour": 1}), InvalidOption, "'colour'"),
        (row({"image": TEXT, "confidence": 2}), InvalidOption, "confidence is 2"),
        (row({"instances": [TEXT], "confidence": 0.1}), InvalidRequest, "'confidence'"),
        (row({"instances": [TEXT], "parameters": [1]}), InvalidRequest, "`parameters` is list"),
        ({"body": b'{"image": NaN}'}, InvalidRequest, "NaN"),
        ({"body": b'{"image": '}, InvalidRequest, "not valid JSON"),
        ({"body": b'{"image": "\xff"}'}, InvalidRequest, "not valid JSON"),
        ({"body": b'{"a":' * 100_000}, InvalidRequest, "nested too deep"),
        ({"body": b'{"confidence": ' + b"9" * 5000 + b"}"}, InvalidRequest, "not valid JSON"),
    ],
)
def test_what_is_no_request_is_said_to_be_none(sent: dict[str, Any], error: type[DetectionError], words: str) -> None:
    with pytest.raises(error) as caught:
        CONTRACT.parse(sent)
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert caught.value.status == 400
