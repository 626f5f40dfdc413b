"""The fields of the Gateway API that the examples use. Its own schemas are CRDs, and in no package index."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jsonschema

from support.kubernetes.manifests import Manifest

API_VERSION = "gateway.networking.k8s.io/v1"
NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
DURATION = {"type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"}
UNITS_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def _object(required: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    """The schema of an object that has no other fields."""
    return {
        "type": "object",
        "required": list(required),
        "additionalProperties": False,
        "properties": {**required, **optional},
    }


def _list(items: Mapping[str, Any], most: int) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "maxItems": most, "items": items}


def _manifest(kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = _object({"name": NAME, "namespace": NAME}, labels={"type": "object"})
    return _object({"apiVersion": {"const": API_VERSION}, "kind": {"const": kind}, "metadata": metadata, "spec": spec})


_LABELS = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}
_LISTENER = _object(
    {
        "name": NAME,
        "protocol": {"const": "HTTPS"},
        "port": PORT,
        "tls": _object({"mode": {"const": "Terminate"}, "certificateRefs": _list(_object({"name": NAME}), 64)}),
    },
    hostname=NAME,
    allowedRoutes=_object(
        {"namespaces": _object({"from": {"const": "Selector"}, "selector": _object({"matchLabels": _LABELS})})}
    ),
)
_RULE = _object(
    {"backendRefs": _list(_object({"name": NAME, "port": PORT}), 16)},
    matches=_list(_object({"path": _object({"type": {"const": "PathPrefix"}, "value": {"pattern": "^/"}})}), 64),
    timeouts=_object({}, request=DURATION, backendRequest=DURATION),
)
SCHEMAS = {
    "Gateway": _manifest("Gateway", _object({"gatewayClassName": NAME, "listeners": _list(_LISTENER, 64)})),
    "HTTPRoute": _manifest(
        "HTTPRoute",
        _object(
            {
                "parentRefs": _list(_object({"name": NAME}, namespace=NAME, sectionName=NAME), 32),
                "rules": _list(_RULE, 16),
            },
            hostnames=_list(NAME, 16),
        ),
    ),
}


def seconds(duration: str) -> float:
    """A duration of the Gateway API, such as 1m30s, in seconds."""
    return sum(float(number) * UNITS_SECONDS[unit] for number, unit in re.findall(r"(\d+)(ms|h|m|s)", duration))


def validate(manifest: Manifest) -> None:
    """Raises jsonschema.ValidationError for other fields or values, and if a backend may take longer than a request."""
    jsonschema.validate(manifest, SCHEMAS[manifest["kind"]])
    for rule in manifest["spec"].get("rules", []):
        limits = {name: seconds(value) for name, value in rule.get("timeouts", {}).items()}
        if len(limits) == 2 and limits["backendRequest"] > limits["request"]:
            raise jsonschema.ValidationError("backendRequest is longer than request")
