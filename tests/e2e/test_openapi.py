"""The running service behaves as docs/openapi.yaml says."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

import jsonschema_rs
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection

from support.contract import load_document, resolved, violation
from support.pictures import encoded
from support.running_service import Service

DOCUMENT = load_document()
# Without the management API: random calls would scale and unregister the models that other tests use.
INFERENCE = [
    (path, method) for path, item in DOCUMENT["paths"].items() if "servers" not in item for method in ("get", "post")
    if method in item
]  # fmt: skip
PICTURES = [encoded(seed, form, (64, 48)) for seed, form in enumerate(("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"))]

CONFIG = {
    "checks": {
        "positive_data_acceptance": {"expected-statuses": [200]},
        "negative_data_rejection": {"expected-statuses": [400, 403, 404, 413, 415, 422]},
        # On the inference API TorchServe treats every method like POST, as the document says.
        "unsupported_method": {"enabled": False},
        # This check expects 401 or 403, and TorchServe answers 400. test_torchserve.py tests that.
        "ignored_auth": {"enabled": False},
    }
}


def narrowed(service: Service) -> dict[str, Any]:
    """The document with the name and the classes of one served model.

    The examples are removed, because they would be sent; another test covers them.
    """
    document = load_document()
    document["paths"] = {path: document["paths"][path] for path, _ in INFERENCE}
    schemas, model = document["components"]["schemas"], service.models[0]
    classes = service.describe(model)["customizedMetadata"]["classes"]
    schemas["ModelName"] = {"enum": [model]}
    schemas["ClassName"] = {"enum": classes}
    schemas["ClassesText"] = {"enum": ["0", classes[0], f"0, {classes[-1]}"]}
    schemas["ClassId"]["maximum"] = len(classes) - 1
    document["components"]["parameters"]["Version"]["schema"] = {"enum": ["1.0"]}
    document["paths"]["/invocations"]["post"]["parameters"][0]["required"] = len(service.models) > 1
    bodies = [document["components"]["requestBodies"]["Pictures"]]
    bodies.append(document["paths"]["/v1/models/{model}:predict"]["post"]["requestBody"])
    for body in bodies:
        del body["content"]["application/json"]["examples"]
    return document


@pytest.fixture(scope="module")
def api(service: Service) -> Any:
    pictures = st.sampled_from(PICTURES)
    schemathesis.openapi.media_type("image/*", pictures, aliases=["application/octet-stream"])
    schemathesis.openapi.format("picture-base64", pictures.map(lambda picture: base64.b64encode(picture).decode()))
    return schemathesis.openapi.from_dict(narrowed(service), config=SchemathesisConfig.from_dict(CONFIG))


def is_accepted_with_error(case: Any, response: Any) -> bool:
    """Whether the request's only error is one of its pictures, or an option in the query that the body replaces.

    Both get status 200: the error stands in the picture's place, the option in the query is ignored.
    """
    items = response.json() if isinstance(response.json(), list) else response.json().get("predictions", [])
    repeated = isinstance(case.body, dict) and set(case.query or ()) & set(case.body)
    return any("code" in item for item in items) or bool(repeated)


def excluded_checks(case: Any, response: Any) -> list[Any]:
    """The checks that do not apply to a response, because the document describes it as an exception."""
    if response.status_code == 200 and is_accepted_with_error(case, response):
        return [negative_data_rejection]
    if response.status_code == 500 and response.json().get("type") == "ErrorDataDecoderException":
        return [negative_data_rejection, not_a_server_error]  # TorchServe cannot read the form, see Fault
    return []


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), INFERENCE)
def test_responses_to_generated_requests_are_as_documented(
    service: Service, api: Any, path: str, method: str, mode: GenerationMode
) -> None:
    counts: Counter[tuple[str, int]] = Counter()
    session = requests.Session()

    @settings(derandomize=True, database=None, deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
    @given(case=api[path][method].as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        response = case.call(base_url=service.inference_url, headers=service.headers, session=session)
        case.validate_response(response, excluded_checks=excluded_checks(case, response))
        counts[str(case.media_type).split("/")[0], response.status_code] += 1

    send()
    # A strategy whose requests are never accepted would test nothing.
    expected = {"image", "multipart", "application"} if "Pictures" in str(DOCUMENT["paths"][path]) else set()
    if mode.is_positive:
        assert {kind for kind, status in counts if status == 200} >= expected, counts


def test_the_document_is_valid_openapi() -> None:
    schemathesis.openapi.from_dict(load_document()).validate()
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name
        jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def examples_of(path: str) -> dict[str, tuple[Any, int, Any]]:
    """By name of the example: its JSON request, its status and its response."""
    operation = DOCUMENT["paths"][path]["post"]
    responses = {}
    for status, response in operation["responses"].items():
        for name, example in resolved(DOCUMENT, response)["content"]["application/json"].get("examples", {}).items():
            responses[name] = int(status), example["value"]
    body = resolved(DOCUMENT, operation["requestBody"])["content"]["application/json"]
    return {name: (example["value"], *responses[name]) for name, example in body["examples"].items()}


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path in ("/predictions/{model}", "/v1/models/{model}:predict") for name in examples_of(path)],
)
def test_the_service_responds_as_in_each_example(service: Service, path: str, name: str) -> None:
    request, status, expected = examples_of(path)[name]
    assert violation(status, "application/json", json.dumps(expected).encode(), path) == ""
    # The examples name the model yolov5s.
    model = service.models[0]
    sent = json.dumps(request).replace('"yolov5s"', f'"{model}"')
    headers = {**service.headers, "Content-Type": "application/json"}
    url = service.inference_url + path.format(model=model)
    response = requests.post(url, data=sent, headers=headers, timeout=60)
    assert response.status_code == status, response.text
    assert violation(status, response.headers["Content-Type"], response.content, path) == ""
    if status >= 400:
        assert response.text == json.dumps(expected, separators=(",", ":")).replace("'yolov5s'", f"'{model}'")


def test_responses_of_the_management_api_are_as_documented(service: Service) -> None:
    model = service.models[0]
    calls = [
        ("GET", "/models", "", 200),
        ("POST", "/models", "?url=nothing.mar", 405),
        ("GET", "/models/{model}", "?customized=true", 200),
        ("GET", "/models/{model}", "", 200),
        ("PUT", "/models/{model}", "?min_worker=1&max_worker=1&synchronous=true", 200),
        ("PUT", "/models/{model}", "?min_worker=1&max_worker=1", 202),
        ("PUT", "/models/{model}", "?min_worker=2&max_worker=1", 400),
        ("PUT", "/models/{model}/{version}/set-default", "", 200),
    ]
    token = json.loads((service.run / "key_file.json").read_text())["management"]["key"]
    for method, path, query, status in calls:
        url = service.management_url + path.format(model=model, version="1.0") + query
        response = requests.request(method, url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
        assert response.status_code == status, (method, path, response.text)
        assert violation(status, response.headers["Content-Type"], response.content, path, method.lower()) == ""
