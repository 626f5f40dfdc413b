"""The Gateway and the HTTPRoute of the README: valid, with TLS and timeouts, and allowed by the NetworkPolicies."""

from __future__ import annotations

import copy
import re
from typing import Any

import jsonschema
import pytest
import yaml

from support.kubernetes import gateway_api
from support.kubernetes.manifests import KUBERNETES, ROOT, Manifest, find_manifest, rendered

README = (KUBERNETES / "README.md").read_text()
EXAMPLES: list[Manifest] = [
    manifest
    for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    for manifest in yaml.safe_load_all(block)
    if manifest["apiVersion"] == gateway_api.API_VERSION
]
GATEWAY = find_manifest(EXAMPLES, "Gateway", "api")
ROUTE = find_manifest(EXAMPLES, "HTTPRoute", "torchserve")


def test_the_examples_are_valid() -> None:
    assert len(EXAMPLES) == 2
    for manifest in EXAMPLES:
        gateway_api.validate(manifest)


@pytest.mark.parametrize(
    ("manifest", "path", "value"),
    [
        (GATEWAY, ("apiVersion",), "gateway.networking.k8s.io/v1beta1"),
        (GATEWAY, ("spec", "gatewayClass"), "example"),
        (GATEWAY, ("spec", "listeners", 0, "protocol"), "HTTP"),
        (GATEWAY, ("spec", "listeners", 0, "port"), "443"),
        (GATEWAY, ("spec", "listeners", 0, "tls", "certificateRefs"), []),
        (GATEWAY, ("spec", "listeners", 0, "allowedRoutes", "namespaces", "from"), "Any"),
        (ROUTE, ("spec", "rules", 0, "timeout"), {}),
        (ROUTE, ("spec", "rules", 0, "timeouts", "request"), "140"),
        (ROUTE, ("spec", "rules", 0, "timeouts", "request"), "2m"),  # shorter than backendRequest
        (ROUTE, ("spec", "rules", 0, "backendRefs", 0, "port"), "inference"),
        (ROUTE, ("spec", "rules", 0, "matches", 0, "path", "value"), "predictions"),
    ],
)
def test_an_invalid_field_is_found(manifest: Manifest, path: tuple[Any, ...], value: Any) -> None:
    broken = copy.deepcopy(manifest)
    inner: Any = broken
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        gateway_api.validate(broken)


@pytest.mark.parametrize(("text", "expected"), [("130s", 130.0), ("2m10s", 130.0), ("500ms", 0.5), ("1h", 3600.0)])
def test_durations_in_seconds(text: str, expected: float) -> None:
    assert gateway_api.seconds(text) == expected


def test_the_route_belongs_to_the_gateway() -> None:
    (parent,) = ROUTE["spec"]["parentRefs"]
    (listener,) = GATEWAY["spec"]["listeners"]
    assert (parent["name"], parent["namespace"]) == (GATEWAY["metadata"]["name"], GATEWAY["metadata"]["namespace"])
    assert parent["sectionName"] == listener["name"]
    assert ROUTE["spec"]["hostnames"] == [listener["hostname"]]
    allowed = listener["allowedRoutes"]["namespaces"]["selector"]["matchLabels"]
    assert allowed == {"kubernetes.io/metadata.name": ROUTE["metadata"]["namespace"]}


def test_the_certificate_is_the_one_of_the_commands() -> None:
    (reference,) = GATEWAY["spec"]["listeners"][0]["tls"]["certificateRefs"]
    namespace = GATEWAY["metadata"]["namespace"]
    assert f"$ kubectl create secret tls {reference['name']} --namespace {namespace} " in README


def test_the_route_leads_to_the_inference_port_only() -> None:
    manifests = rendered(KUBERNETES / "overlays" / "cpu")
    (backend,) = (each for rule in ROUTE["spec"]["rules"] for each in rule["backendRefs"])
    service = find_manifest(manifests, "Service", backend["name"])
    assert service["metadata"]["namespace"] == ROUTE["metadata"]["namespace"]
    assert [each["port"] for each in service["spec"]["ports"]] == [backend["port"]]


def test_the_gateway_s_namespace_is_allowed() -> None:
    """The label of the command is the one that the NetworkPolicy selects."""
    rules = find_manifest(rendered(KUBERNETES / "overlays" / "cpu"), "NetworkPolicy", "torchserve")["spec"]["ingress"]
    selectors = [each.get("namespaceSelector", {}).get("matchLabels", {}) for rule in rules for each in rule["from"]]
    (label,) = (f"{name}={value}" for labels in selectors for name, value in labels.items() if "clients" in name)
    assert f"$ kubectl label namespace {GATEWAY['metadata']['namespace']} {label}\n" in README


def test_the_gateway_waits_for_torchserve_s_own_timeout() -> None:
    """So that the client gets TorchServe's answer, or the proxy's, and not one of the gateway."""
    limit = re.search(r"^default_response_timeout=(\d+)$", (ROOT / "config.properties").read_text(), re.MULTILINE)
    proxy = re.search(r"timeout server (\d+)s", (KUBERNETES / "proxy" / "haproxy.cfg").read_text())
    assert limit
    assert proxy
    (rule,) = ROUTE["spec"]["rules"]
    own = {name: gateway_api.seconds(value) for name, value in rule["timeouts"].items()}
    assert int(limit[1]) < int(proxy[1]) <= own["backendRequest"] < own["request"]


def test_no_example_is_an_ingress() -> None:
    for path in (ROOT / "deploy").rglob("*"):
        if path.is_file():
            assert not re.search(r"kind: Ingress\b|ingressClassName|ingress\.kubernetes\.io", path.read_text()), path
