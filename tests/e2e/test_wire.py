"""Every form of request, and every kind of error, through the running service."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import requests

from support.pictures import blank, crowded, encoded
from support.running_service import Service

MODEL = "shapes"


@pytest.fixture(scope="module")
def picture() -> bytes:
    return crowded()


def post(service: Service, path: str = f"/predictions/{MODEL}", **arguments: Any) -> requests.Response:
    headers = {**service.headers, **arguments.pop("headers", {})}
    return requests.post(service.inference_url + path, headers=headers, timeout=60, **arguments)


def detections(response: requests.Response) -> Any:
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/json"
    return response.json()["detections"]


def text(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def test_every_form_of_request_gets_the_same_detections(service: Service, picture: bytes) -> None:
    expected = detections(post(service, data=picture, headers={"Content-Type": "image/jpeg"}))
    assert expected
    responses = [
        post(service, data=picture),
        post(service, f"/predictions/{MODEL}/1.0", data=picture),
        post(service, data=picture, headers={"Content-Type": "application/octet-stream"}),
        post(service, files={"image": ("photo.jpg", picture, "image/jpeg")}),
        post(service, json={"image": text(picture)}),
        post(service, json={"image": f"data:image/jpeg;base64,{text(picture)}", "model": MODEL}),
        post(service, f"/invocations?model_name={MODEL}", data=picture, headers={"Content-Type": "image/jpeg"}),
    ]
    assert [detections(response) for response in responses] == [expected] * len(responses)
    several = post(service, json={"images": [text(picture), text(picture)]})
    assert [document["detections"] for document in several.json()] == [expected] * 2
    predict = {"instances": [{"image": {"b64": text(picture)}}]}
    predicted = post(service, f"/v1/models/{MODEL}:predict", json=predict)
    assert [document["detections"] for document in predicted.json()["predictions"]] == [expected]


def test_options_come_with_every_form_of_request(service: Service, picture: bytes) -> None:
    options = {"confidence": "0.3", "max_detections": "1", "agnostic": "true"}
    numbers = {"confidence": 0.3, "max_detections": 1, "agnostic": True}
    everything = detections(post(service, data=picture))
    responses = [
        post(service, files={"image": picture, **{name: (None, value) for name, value in options.items()}}),
        post(service, json={"image": text(picture), **numbers}),
        post(
            service,
            f"/invocations?model_name={MODEL}&confidence=0.3&max_detections=1&agnostic=true",
            data=picture,
            headers={"Content-Type": "image/jpeg"},
        ),
    ]
    assert len(everything) > 1
    assert [detections(response) for response in responses] == [everything[:1]] * 3
    predict = {"instances": [{"image": {"b64": text(picture)}}], "parameters": numbers}
    predicted = post(service, f"/v1/models/{MODEL}:predict", json=predict)
    assert predicted.json()["predictions"][0]["detections"] == everything[:1]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_every_format_is_read(service: Service, form: str) -> None:
    assert detections(post(service, data=encoded(seed=2, form=form)))


def test_a_response_has_the_fields_of_the_contract(service: Service) -> None:
    picture = encoded(seed=3, size_wh=(300, 200))
    document = post(service, data=picture).json()
    assert {"model", "version", "time", "image", "detections", "timings"} == set(document)
    assert (document["model"], document["version"]) == (MODEL, "1.0")
    assert document["image"] == {"width": 300, "height": 200}
    assert set(document["timings"]) == {"decode", "letterbox", "inference", "suppression"}
    seconds = document["timings"]["inference"] + document["timings"]["suppression"]
    assert document["time"] == pytest.approx(seconds, abs=2e-6)
    assert document["detections"] == sorted(document["detections"], key=lambda detection: -detection["confidence"])
    for detection in document["detections"]:
        x_min, y_min, x_max, y_max = detection["xyxy"]
        sides = [detection[side] for side in ("x_min", "y_min", "x_max", "y_max")]
        assert sides == [int(side) for side in (x_min, y_min, x_max, y_max)]
        assert 0 <= x_min < x_max <= 300
        assert 0 <= y_min < y_max <= 200


def error(response: requests.Response) -> tuple[int, str]:
    document = response.json()
    assert set(document) == {"code", "type", "message"}
    assert document["code"] == response.status_code
    return document["code"], document["type"]


def test_each_error_has_its_status_and_type(service: Service, picture: bytes) -> None:
    assert error(post(service, data=b"")) == (422, "InvalidImage")
    assert error(post(service, data=picture[: len(picture) // 2])) == (422, "InvalidImage")
    assert error(post(service, data=b"no picture")) == (415, "UnsupportedImage")
    assert error(post(service, data=blank((9000, 8000)))) == (413, "ImageTooLarge")
    assert error(post(service, json={"image": text(picture), "confidence": 2})) == (400, "InvalidOption")
    assert error(post(service, json={"picture": text(picture)})) == (400, "InvalidRequest")
    assert error(post(service, "/predictions/nothing", data=picture)) == (404, "ModelNotFoundException")


def test_an_error_of_one_picture_does_not_affect_the_others(service: Service, picture: bytes) -> None:
    response = post(service, json={"images": [text(picture), text(b"junk"), "###", text(picture)]})
    assert response.status_code == 200
    good, junk, garbage, last = response.json()
    assert good["detections"] == last["detections"] != []
    assert (junk["code"], junk["type"]) == (415, "UnsupportedImage")
    assert (garbage["code"], garbage["type"]) == (400, "InvalidRequest")


def test_requests_without_the_right_token_are_rejected(service: Service, picture: bytes) -> None:
    url = f"{service.inference_url}/predictions/{MODEL}"
    management = json.loads((service.run / "key_file.json").read_text())["management"]["key"]
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {management}"}):
        response = requests.post(url, data=picture, headers=headers, timeout=30)
        assert error(response) == (400, "InvalidKeyException")


def test_describe_returns_the_facts_of_the_model(service: Service) -> None:
    description = service.describe(MODEL)["customizedMetadata"]
    assert description["title"]
    assert description["description"]
    assert description["version"] == "1.0"
    assert description["classes"] == ["circle", "square", "triangle", "star", "cross"] or description["classes"]
    assert description["image_size"] == description["defaults"]["image_size"] == 320
    assert (description["precision"], description["engine"]) == ("fp32", "openvino")


def test_a_worker_loads_neither_ultralytics_nor_torchvision(service: Service) -> None:
    import psutil

    for pid in service.worker_pids(MODEL):
        mapped = {entry.path for entry in psutil.Process(pid).memory_maps()}
        assert any("openvino" in path for path in mapped)
        assert not any("torchvision" in path for path in mapped)
        opened = {entry.path for entry in psutil.Process(pid).open_files()}
        assert not any("ultralytics" in path or "torchvision" in path for path in opened | mapped)
