"""docs/openapi.yaml says what the running service does."""

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
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection

from detection.options import RANGES, Options
from support.contract import breach, load_document, resolved
from support.pictures import encoded
from support.running_service import Service

DOCUMENT = load_document()
# The management API is described for people: random calls of it would scale and unregister what other tests use.
INFERENCE = [
    (path, method) for path, item in DOCUMENT["paths"].items() if "servers" not in item for method in ("get", "post")
    if method in item
]  # fmt: skip
PICTURES = [encoded(seed, form, (64, 48)) for seed, form in enumerate(("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"))]

CONFIG = {
    "checks": {
        "positive_data_acceptance": {"expected-statuses": [200]},
        "negative_data_rejection": {"expected-statuses": [400, 403, 404, 413, 415, 422]},
        # TorchServe answers every method on the inference API as if it were POST; the document says so.
        "unsupported_method": {"enabled": False},
        # It knows 401 and 403 alone for a refused token, and TorchServe says 400; test_torchserve.py looks at that.
        "ignored_auth": {"enabled": False},
    }
}


def narrowed(service: Service) -> dict[str, Any]:
    """The document for one model: what every client must look up, its name and classes, stands in it.

    Without the examples, which would be sent as they are; they have a test of their own.
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


def is_answered_in_place(case: Any, response: Any) -> bool:
    """Whether what is wrong with the request is wrong with one of its pictures, or is an option that the body repeats.

    The contract answers the first in the list and overlooks the second, both with status 200.
    """
    items = response.json() if isinstance(response.json(), list) else response.json().get("predictions", [])
    repeated = isinstance(case.body, dict) and set(case.query or ()) & set(case.body)
    return any("code" in item for item in items) or bool(repeated)


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), INFERENCE)
def test_generated_requests_are_answered_as_documented(
    service: Service, api: Any, path: str, method: str, mode: GenerationMode
) -> None:
    answered: Counter[tuple[str, int]] = Counter()
    session = requests.Session()

    @settings(derandomize=True, database=None, deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
    @given(case=api[path][method].as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        response = case.call(base_url=service.inference_url, headers=service.headers, session=session)
        in_place = response.status_code == 200 and is_answered_in_place(case, response)
        case.validate_response(response, excluded_checks=[negative_data_rejection] if in_place else [])
        answered[str(case.media_type).split("/")[0], response.status_code] += 1

    ask()
    # A strategy that never reached detection would have tested nothing.
    expected = {"image", "multipart", "application"} if "Pictures" in str(DOCUMENT["paths"][path]) else set()
    if mode.is_positive:
        assert {kind for kind, status in answered if status == 200} >= expected, answered


def test_the_document_is_valid_openapi() -> None:
    schemathesis.openapi.from_dict(load_document()).validate()
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name
        jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def test_the_document_has_the_detector_s_ranges_and_defaults() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    form = schemas["Form"]["properties"]
    assert set(form) - {"image"} == set(vars(Options()))
    documented = {name: resolved(DOCUMENT, form[name]) for name in form}
    assert {name: (documented[name]["minimum"], documented[name]["maximum"]) for name in RANGES} == RANGES
    defaults = {name: value for name, value in vars(Options()).items() if name != "classes"}
    assert {name: documented[name]["default"] for name in defaults} == defaults
    for holder in (schemas["OnePicture"], schemas["SeveralPictures"], schemas["Instances"]["properties"]["parameters"]):
        assert set(vars(Options())) <= set(holder["properties"])


def examples_of(path: str) -> dict[str, tuple[Any, int, Any]]:
    """By name: the JSON request of an example, its status, and its answer."""
    operation = DOCUMENT["paths"][path]["post"]
    answers = {}
    for status, response in operation["responses"].items():
        for name, example in resolved(DOCUMENT, response)["content"]["application/json"].get("examples", {}).items():
            answers[name] = int(status), example["value"]
    body = resolved(DOCUMENT, operation["requestBody"])["content"]["application/json"]
    return {name: (example["value"], *answers[name]) for name, example in body["examples"].items()}


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path in ("/predictions/{model}", "/v1/models/{model}:predict") for name in examples_of(path)],
)
def test_each_example_is_real(service: Service, path: str, name: str) -> None:
    request, status, answer = examples_of(path)[name]
    assert breach(status, "application/json", json.dumps(answer).encode(), path) == ""
    # The examples are written for yolov5s.
    model = service.models[0]
    sent = json.dumps(request).replace('"yolov5s"', f'"{model}"')
    headers = {**service.headers, "Content-Type": "application/json"}
    url = service.inference_url + path.format(model=model)
    response = requests.post(url, data=sent, headers=headers, timeout=60)
    assert response.status_code == status, response.text
    assert breach(status, response.headers["Content-Type"], response.content, path) == ""
    if status >= 400:
        assert response.text == json.dumps(answer, separators=(",", ":")).replace("'yolov5s'", f"'{model}'")


def test_the_management_api_answers_as_documented(service: Service) -> None:
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
        assert breach(status, response.headers["Content-Type"], response.content, path, method.lower()) == ""
