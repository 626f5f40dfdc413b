"""Each wire form: the tasks of its requests, its responses, and its errors."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from detection.errors import DetectionError, InvalidOption, InvalidRequest
from detection.options import Options
from detection.records import Detections, Task, Timings
from detection.wire.forms import FORMS
from detection.wire.image_list import MAX_IMAGES
from detection.wire.kserve_v1 import KServeV1
from detection.wire.native_image import NativeImage
from detection.wire.native_image_list import NativeImageList
from detection.wire.parsed_request import ParsedRequest
from detection.wire.request import WireRequest
from detection.wire.response import Response
from detection.wire.served_model import ServedModel
from detection.wire.wire_form import WireForm

MODEL = ServedModel("yolov5s", "1.0", ("person", "bus"), Options())
PICTURE = b"\xff\xd8\xff picture"
TEXT = base64.b64encode(PICTURE).decode()


def parse(row: dict[str, object]) -> ParsedRequest:
    return ParsedRequest.parse(row, {}, MODEL)


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
    request = parse(sent)
    assert request.error is None
    assert isinstance(request.form, NativeImage)
    assert request.entries == (Task(PICTURE, Options()),)


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
    [task] = parse(sent).entries
    assert isinstance(task, Task)
    assert task.options == Options(confidence=0.5, classes=(1,))


@pytest.mark.parametrize(
    ("sent", "form"),
    [
        (row({"images": [TEXT, TEXT], "iou": 0.5}), NativeImageList),
        (row({"instances": [{"image": {"b64": TEXT}}, {"image": TEXT}], "parameters": {"iou": 0.5}}), KServeV1),
        ({"instances": [{"b64": TEXT}, TEXT], "parameters": {"iou": 0.5}}, KServeV1),
    ],
)
def test_several_pictures_are_several_tasks(sent: dict[str, object], form: type[WireForm]) -> None:
    request = parse(sent)
    assert isinstance(request.form, form)
    assert request.entries == (Task(PICTURE, Options(iou=0.5)),) * 2


@pytest.mark.parametrize("key", ["images", "instances"])
def test_a_bad_picture_among_several_keeps_its_place(key: str) -> None:
    good, number, garbage = parse(row({key: [TEXT, 7, "###"]})).entries
    assert isinstance(good, Task)
    assert isinstance(number, DetectionError)
    assert isinstance(garbage, DetectionError)
    assert f"{key}[1]" in str(number)
    assert f"{key}[2]" in str(garbage)


@pytest.mark.parametrize(
    ("sent", "error", "message"),
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
def test_a_wrong_request_is_rejected(sent: dict[str, Any], error: type[DetectionError], message: str) -> None:
    request = parse(sent)
    assert type(request.error) is error
    assert message in str(request.error)
    assert request.entries == ()
    response = request.respond(iter([]))
    assert (response.status, response.reason, response.content_type) == (400, "Bad Request", "application/json")
    assert json.loads(response.body) == {"code": 400, "type": error.__name__, "message": str(request.error)}


DETECTIONS = Detections(
    image_hw=(1080, 810),
    boxes=np.array([[51.09, 394.54, 223.2107, 902.69]], np.float32),
    confidences=np.array([0.8380012], np.float32),
    class_ids=np.array([1]),
    timings=Timings(decode=0.008, letterbox=0.001, inference=0.0290004, suppression=0.002),
)
DOCUMENT = (
    '{"model":"yolov5s","version":"1.0","time":0.031,"image":{"width":810,"height":1080},"detections":[{"x_min":51,'
    '"y_min":394,"x_max":223,"y_max":902,"class_name":"bus","class_id":1,"confidence":0.838,'
    '"xyxy":[51.09,394.54,223.211,902.69]}],'
    '"timings":{"decode":0.008,"letterbox":0.001,"inference":0.029,"suppression":0.002}}'
)
NOT_BASE64 = '{"code":400,"type":"InvalidRequest","message":"`%s` is not base64: Only base64 data is allowed"}'
FAULT = '{"code":500,"type":"InternalError","message":"the service failed on this picture; its log has the cause"}'


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        ({"body": PICTURE}, DOCUMENT),
        (row({"image": TEXT}), DOCUMENT),
        (row({"images": [TEXT, "###"]}), f"[{DOCUMENT},{NOT_BASE64 % 'images[1]'}]"),
        (row({"instances": ["###", TEXT]}), f'{{"predictions":[{NOT_BASE64 % "instances[0]"},{DOCUMENT}]}}'),
    ],
)
def test_each_form_has_its_response(sent: dict[str, object], body: str) -> None:
    results: Iterator[Detections | Exception] = iter([DETECTIONS, RuntimeError("the result of the next request")])
    response = parse(sent).respond(results)
    assert (response.status, response.reason, response.content_type) == (200, "OK", "application/json")
    assert response.body == body
    assert len(list(results)) == 1


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        ({"body": PICTURE}, 500, FAULT),
        (row({"images": [TEXT]}), 200, f"[{FAULT}]"),
        (row({"instances": [TEXT]}), 200, f'{{"predictions":[{FAULT}]}}'),
    ],
)
def test_an_error_of_the_service_has_no_details(sent: dict[str, object], status: int, body: str) -> None:
    response = parse(sent).respond(iter([RuntimeError("details")]))
    assert (response.status, response.body) == (status, body)


def test_errors_are_encoded_by_the_form_once_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that is chosen by a header, as a gateway sets it, encodes the errors of a body that it cannot parse."""

    class Other(NativeImage):
        @staticmethod
        def accepts(request: WireRequest) -> bool:
            return request.headers.get("form") == "other"

        def encode_error(self, error: Exception) -> Response:
            return Response(f"other: {error}", 418, "I'm a teapot", "text/plain")

    monkeypatch.setattr("detection.wire.forms.FORMS", (Other, *FORMS))
    broken: dict[str, object] = {"body": b"{"}
    other = ParsedRequest.parse(broken, {"form": "other"}, MODEL).respond(iter([]))
    assert (other.status, other.content_type) == (418, "text/plain")
    assert other.body.startswith("other: the body is not valid JSON")
    assert ParsedRequest.parse(broken, {}, MODEL).respond(iter([])).status == 400
