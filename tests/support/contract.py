"""The wire contract of docs/openapi.yaml, as something that a test can hold answers against."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

DOCUMENT_PATH = Path(__file__).parents[2] / "docs" / "openapi.yaml"
DETECTION = "/predictions/{model}"
TOO_LARGE_BODY = 413  # the one answer that may have no content


def load_document() -> dict[str, Any]:
    """A fresh copy of the document."""
    document: dict[str, Any] = yaml.safe_load(DOCUMENT_PATH.read_text(encoding="utf-8"))
    return document


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """What `node` stands for: itself, or what its reference names."""
    while "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/")]
        node = target
    return node


@cache
def validators(path: str = DETECTION, method: str = "post") -> dict[int, jsonschema_rs.Validator]:
    """Of each documented status of an address, what checks its answers."""
    document = load_document()
    found: dict[int, jsonschema_rs.Validator] = {}
    for status, response in document["paths"][path][method]["responses"].items():
        schema = resolved(document, response)["content"]["application/json"]["schema"]
        found[int(status)] = jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})
    return found


def breach(status: int, content_type: str | None, body: bytes, path: str = DETECTION, method: str = "post") -> str:
    """How an answer breaks the contract, or nothing."""
    validator = validators(path, method).get(status)
    if validator is None:
        return f"status {status} is not documented"
    if status == TOO_LARGE_BODY and not body:
        return ""
    if content_type != "application/json":
        return f"the content type is {content_type!r}"
    try:
        document = json.loads(body.decode("utf-8"))
    except ValueError as error:
        return f"the body is not JSON: {error}"
    return "; ".join(f"{error.instance_path}: {error.message}" for error in validator.iter_errors(document))
