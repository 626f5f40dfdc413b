"""The wire contract in docs/openapi.yaml, and a check of responses against it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

DOCUMENT_PATH = Path(__file__).parents[2] / "docs" / "openapi.yaml"
DETECTION = "/predictions/{model}"
BODY_TOO_LARGE = 413  # the only status whose response may be empty


def load_document() -> dict[str, Any]:
    """A new copy of the document."""
    document: dict[str, Any] = yaml.safe_load(DOCUMENT_PATH.read_text(encoding="utf-8"))
    return document


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """The node, or the node that its reference names."""
    while "$ref" in node:
        target: Any = document
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key.replace("~1", "/")]
        node = target
    return node


@cache
def validators(path: str = DETECTION, method: str = "post") -> dict[int, jsonschema_rs.Validator]:
    """The validator of each documented status of an address."""
    document = load_document()
    by_status: dict[int, jsonschema_rs.Validator] = {}
    for status, response in document["paths"][path][method]["responses"].items():
        schema = resolved(document, response)["content"]["application/json"]["schema"]
        by_status[int(status)] = jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})
    return by_status


def violation(status: int, content_type: str | None, body: bytes, path: str = DETECTION, method: str = "post") -> str:
    """How a response violates the contract; empty if it does not."""
    validator = validators(path, method).get(status)
    if validator is None:
        return f"status {status} is not documented"
    if status == BODY_TOO_LARGE and not body:
        return ""
    if content_type != "application/json":
        return f"the content type is {content_type!r}"
    try:
        document = json.loads(body.decode("utf-8"))
    except ValueError as error:
        return f"the body is not JSON: {error}"
    return "; ".join(f"{error.instance_path}: {error.message}" for error in validator.iter_errors(document))
