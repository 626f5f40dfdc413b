"""The answers of TorchServe itself, before a request reaches the model, as in docs/openapi.yaml."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import pytest
import requests

from support.contract import violation
from support.pictures import encoded
from support.running_service import Service

PICTURE = encoded(0, "PNG", (64, 48))
MEBIBYTE = 2**20


def send(service: Service, path: str, method: str = "POST", **arguments: Any) -> requests.Response:
    """A request to the inference API; `{model}` in the path is the served model."""
    headers = {**service.headers, **arguments.pop("headers", {})}
    url = service.inference_url + path.replace("{model}", service.models[0])
    return requests.request(method, url, headers=headers, timeout=60, **arguments)


def outcome(response: requests.Response) -> tuple[int, str]:
    """Status and type of an error, or 200 and an empty type. The response must keep the contract."""
    assert violation(response.status_code, response.headers.get("Content-Type"), response.content) == ""
    document = response.json() if response.content else {}
    return response.status_code, document.get("type", "") if response.status_code >= 400 else ""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/predictions/{model}", (200, "")),
        ("/predictions/{model}/1.0", (200, "")),
        ("/predictions/{model}/9.9", (404, "ModelVersionNotFoundException")),
        ("/predictions/nothing", (404, "ModelNotFoundException")),
        ("/predictions", (404, "ResourceNotFoundException")),
        ("/invocations?model_name={model}", (200, "")),
        ("/invocations?model_name=nothing", (404, "ModelNotFoundException")),
        ("/invocations?model_name={model}&model_name=nothing", (400, "InvalidRequest")),
        # TorchServe would ignore it and use the default version, so the model refuses it.
        ("/invocations?model_name={model}&model_version=1.0", (400, "InvalidOption")),
        ("/invocations?model_name={model}&confidence=2", (400, "InvalidOption")),
        ("/predictions/{model}?confidence=2", (200, "")),
        ("/v1/models/nothing:predict", (404, "ModelNotFoundException")),
        ("/v1/models/{model}", (404, "ResourceNotFoundException")),
    ],
)
def test_addresses(service: Service, path: str, expected: tuple[int, str]) -> None:
    assert outcome(send(service, path, data=PICTURE)) == expected


@pytest.mark.parametrize("path", ["/predictions/%ZZ", "/invocations?model_name={model}&confidence=%ZZ"])
def test_a_stray_percent_sign_is_forbidden(service: Service, path: str) -> None:
    # requests would encode the percent sign.
    connection = HTTPConnection(service.inference_url.removeprefix("http://"), timeout=60)
    connection.request("POST", path.replace("{model}", service.models[0]), PICTURE, service.headers)
    response = connection.getresponse()
    assert violation(response.status, response.getheader("Content-Type"), response.read()) == ""
    assert response.status == 403


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "GET"])
def test_no_method_is_refused(service: Service, method: str) -> None:
    assert outcome(send(service, "/predictions/{model}", method, data=PICTURE)) == (200, "")
    assert outcome(send(service, "/predictions/{model}", method)) == (422, "InvalidImage")


@pytest.mark.parametrize(
    "content_type",
    ["image/png", "image/*", "application/octet-stream", "application/json", "nonsense", "multipart/form-data", None],
)
def test_bytes_of_a_picture_may_have_nearly_any_content_type(service: Service, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert outcome(send(service, "/predictions/{model}", data=PICTURE, headers=headers)) == (200, "")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", PICTURE),
        ("application/x-www-form-urlencoded", b"confidence=%ZZ"),
        ("application/x-www-form-urlencoded", b"=x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name=""\r\n\r\nx\r\n--x--\r\n'),
    ],
)
def test_a_form_that_torchserve_cannot_read_is_answered_with_500(
    service: Service, content_type: str, body: bytes
) -> None:
    before = service.worker_pids(service.models[0])
    status, kind = outcome(send(service, "/predictions/{model}", data=body, headers={"Content-Type": content_type}))
    assert (status, kind) in {(500, "ErrorDataDecoderException"), (500, "StringIndexOutOfBoundsException")}
    assert service.worker_pids(service.models[0]) == before


def test_a_body_over_the_limit_has_an_answer_without_content(service: Service) -> None:
    largest = send(service, "/predictions/{model}", data=bytes(32 * MEBIBYTE))
    assert outcome(largest) == (415, "UnsupportedImage")
    for headers in ({}, {"Authorization": "Bearer nonsense"}):
        response = send(service, "/predictions/{model}", data=bytes(32 * MEBIBYTE + 1), headers=headers)
        assert (response.status_code, response.content) == (413, b"")
        assert "Content-Type" not in response.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ping"),
        ("POST", "/predictions/{model}"),
        ("POST", "/predictions/nothing"),
        ("POST", "/invocations?model_name={model}"),
        ("POST", "/v1/models/{model}:predict"),
    ],
)
def test_every_address_needs_its_token(service: Service, method: str, path: str) -> None:
    assert outcome(send(service, path, method, headers={"Authorization": "nonsense"})) == (400, "InvalidKeyException")


def test_ping_says_healthy(service: Service) -> None:
    response = send(service, "/ping", "GET")
    assert violation(200, response.headers["Content-Type"], response.content, "/ping", "get") == ""
    assert response.json() == {"status": "Healthy"}


def test_the_header_describe_does_not_mix_up_answers(service: Service) -> None:
    sizes = [(64 + 8 * number, 48) for number in range(8)]

    def image_size_with_header(size_wh: tuple[int, int]) -> tuple[int, int]:
        headers = {"describe": "True"} if size_wh in sizes[::2] else {}
        image = send(service, "/predictions/{model}", data=encoded(0, "PNG", size_wh), headers=headers).json()["image"]
        return image["width"], image["height"]

    with ThreadPoolExecutor(len(sizes)) as pool:
        for _ in range(5):
            assert list(pool.map(image_size_with_header, sizes)) == sizes
