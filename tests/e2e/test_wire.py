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
    answers = [
        post(service, data=picture),
        post(service, f"/predictions/{MODEL}/1.0", data=picture),
        post(service, data=picture, headers={"Content-Type": "application/octet-stream"}),
        post(service, files={"image": ("photo.jpg", picture, "image/jpeg")}),
        post(service, json={"image": text(picture)}),
        post(service, json={"image": f"data:image/jpeg;base64,{text(picture)}", "model": MODEL}),
        post(service, f"/invocations?model_name={MODEL}", data=picture, headers={"Content-Type": "image/jpeg"}),
    ]
    assert [detections(answer) for answer in answers] == [expected] * len(answers)
    several = post(service, json={"images": [text(picture), text(picture)]})
    assert [one["detections"] for one in several.json()] == [expected] * 2
    predict = {"instances": [{"image": {"b64": text(picture)}}]}
    predicted = post(service, f"/v1/models/{MODEL}:predict", json=predict)
    assert [one["detections"] for one in predicted.json()["predictions"]] == [expected]


def test_options_come_with_every_form_of_request(service: Service, picture: bytes) -> None:
    options = {"confidence": "0.3", "max_detections": "1", "agnostic": "true"}
    numbers = {"confidence": 0.3, "max_detections": 1, "agnostic": True}
    everything = detections(post(service, data=picture))
    answers = [
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
    assert [detections(answer) for answer in answers] == [everything[:1]] * 3
    predict = {"instances": [{"image": {"b64": text(picture)}}], "parameters": numbers}
    assert (
        post(service, f"/v1/models/{MODEL}:predict", json=predict).json()["predictions"][0]["detections"]
        == (everything[:1])
    )


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_every_format_is_read(service: Service, form: str) -> None:
    assert detections(post(service, data=encoded(seed=2, form=form)))


def test_an_answer_says_what_the_contract_says(service: Service) -> None:
    picture = encoded(seed=3, size_wh=(300, 200))
    answer = post(service, data=picture).json()
    assert {"model", "version", "time", "image", "detections", "timings"} == set(answer)
    assert (answer["model"], answer["version"]) == (MODEL, "1.0")
    assert answer["image"] == {"width": 300, "height": 200}
    assert set(answer["timings"]) == {"decode", "letterbox", "inference", "suppression"}
    spent = answer["timings"]["inference"] + answer["timings"]["suppression"]
    assert answer["time"] == pytest.approx(spent, abs=2e-6)
    found = answer["detections"]
    assert found == sorted(found, key=lambda one: -one["confidence"])
    for one in found:
        sides = [one[side] for side in ("x_min", "y_min", "x_max", "y_max")]
        assert sides == [int(side) for side in one["xyxy"]]
        assert 0 <= one["xyxy"][0] < one["xyxy"][2] <= 300
        assert 0 <= one["xyxy"][1] < one["xyxy"][3] <= 200


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


def test_one_bad_picture_of_several_fails_alone(service: Service, picture: bytes) -> None:
    response = post(service, json={"images": [text(picture), text(b"junk"), "###", text(picture)]})
    assert response.status_code == 200
    good, junk, garbage, last = response.json()
    assert good["detections"] == last["detections"] != []
    assert (junk["code"], junk["type"]) == (415, "UnsupportedImage")
    assert (garbage["code"], garbage["type"]) == (400, "InvalidRequest")


def test_without_the_right_token_nothing_is_answered(service: Service, picture: bytes) -> None:
    url = f"{service.inference_url}/predictions/{MODEL}"
    management = json.loads((service.run / "key_file.json").read_text())["management"]["key"]
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": f"Bearer {management}"}):
        response = requests.post(url, data=picture, headers=headers, timeout=30)
        assert error(response) == (400, "InvalidKeyException")


def test_describe_says_what_the_model_is(service: Service) -> None:
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
