"""The manifests can be rendered, are valid, and have the necessary restrictions."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from support.kubernetes.manifests import (
    COMPONENTS,
    KUBERNETES,
    Manifest,
    find_manifest,
    pod_of,
    rendered,
    violations,
    with_components,
)

MIN_VERSION = "1.30"  # as in README.md: all used features are stable or on by default since then
# The used fields of a ServiceMonitor. Its own schema is part of the operator, and in no package index.
SERVICE_MONITOR = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "additionalProperties": False,
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "ServiceMonitor"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object",
            "required": ["selector", "endpoints"],
            "additionalProperties": False,
            "properties": {
                "selector": {
                    "type": "object",
                    "required": ["matchLabels"],
                    "additionalProperties": False,
                    "properties": {"matchLabels": {"type": "object", "additionalProperties": {"type": "string"}}},
                },
                "endpoints": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["port"],
                        "additionalProperties": False,
                        "properties": {
                            "port": {"type": "string"},
                            "path": {"type": "string", "pattern": "^/"},
                            "interval": {"type": "string", "pattern": "^[0-9]+s$"},
                            "scrapeTimeout": {"type": "string", "pattern": "^[0-9]+s$"},
                        },
                    },
                },
            },
        },
    },
}


def validate(manifest: Manifest) -> None:
    """Raises an error if Kubernetes MIN_VERSION or the latest known version would refuse the manifest."""
    if manifest["kind"] == "ServiceMonitor":
        jsonschema.validate(manifest, SERVICE_MONITOR)
        return
    for version in (MIN_VERSION, kubernetes_validate.latest_version()):
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.fixture(scope="module", params=["cpu", "gpu"])
def overlay(request: pytest.FixtureRequest) -> list[Manifest]:
    return rendered(KUBERNETES / "overlays" / request.param)


@pytest.fixture(scope="module", params=["cpu", "gpu"])
def everything(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """An overlay with all components."""
    return with_components(request.param, COMPONENTS, tmp_path_factory.mktemp("everything"))


def test_an_overlay_is_valid(overlay: list[Manifest]) -> None:
    for manifest in overlay:
        validate(manifest)


def test_an_overlay_with_all_components_is_valid(everything: list[Manifest]) -> None:
    for manifest in everything:
        validate(manifest)


@pytest.mark.parametrize("overlay_name", ["cpu", "gpu"])
@pytest.mark.parametrize("component", COMPONENTS)
def test_an_overlay_with_any_component_is_valid(overlay_name: str, component: str, tmp_path: Path) -> None:
    for manifest in with_components(overlay_name, [component], tmp_path):
        validate(manifest)


def test_the_loader_is_valid() -> None:
    validate(loader())


def loader() -> Manifest:
    manifest: Manifest = yaml.safe_load((KUBERNETES / "components" / "shared-store" / "loader.yaml").read_text())
    return manifest


def test_an_unknown_field_is_refused(overlay: list[Manifest]) -> None:
    """The validation is strict."""
    broken = copy.deepcopy(find_manifest(overlay, "Deployment", "torchserve"))
    broken["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(broken)


def test_containers_are_restricted_limited_and_pinned(everything: list[Manifest]) -> None:
    assert [manifest for manifest in (*everything, loader()) if pod_of(manifest)]
    for manifest in (*everything, loader()):
        assert violations(manifest) == [], manifest["metadata"]["name"]


def test_containers_are_restricted_without_components(overlay: list[Manifest]) -> None:
    for manifest in overlay:
        assert violations(manifest) == [], manifest["metadata"]["name"]


Change = Callable[[dict[str, Any], dict[str, Any]], object]
VIOLATIONS: dict[str, tuple[Change, str]] = {
    "privileged": (lambda pod, own: own["securityContext"].update(privileged=True), "privileged"),
    "escalation": (lambda pod, own: own["securityContext"].pop("allowPrivilegeEscalation"), "can gain privileges"),
    "root allowed": (lambda pod, own: pod["securityContext"].pop("runAsNonRoot"), "may be root"),
    "user 0": (lambda pod, own: own["securityContext"].update(runAsUser=0), "may be root"),
    "writable": (lambda pod, own: own["securityContext"].update(readOnlyRootFilesystem=False), "can write to its root"),
    "kept capabilities": (lambda pod, own: own["securityContext"].pop("capabilities"), "has capabilities"),
    "added ones": (lambda pod, own: own["securityContext"]["capabilities"].update(add=["NET_RAW"]), "has capabilities"),
    "no seccomp": (lambda pod, own: pod["securityContext"].pop("seccompProfile"), "has no seccomp profile"),
    "no limits": (lambda pod, own: own["resources"].pop("limits"), "no limits of cpu, memory, ephemeral-storage"),
    "no memory limit": (lambda pod, own: own["resources"]["limits"].pop("memory"), "no limits of memory"),
    "no requests": (lambda pod, own: own["resources"].pop("requests"), "no requests of cpu"),
    "latest": (lambda pod, own: own.update(image="registry:5000/a/b:latest"), "is not pinned"),
    "no tag": (lambda pod, own: own.update(image="registry:5000/a/b"), "is not pinned"),
    "other policy": (lambda pod, own: own.update(imagePullPolicy="Always"), "has no pull policy IfNotPresent"),
    "no policy": (lambda pod, own: own.pop("imagePullPolicy"), "has no pull policy IfNotPresent"),
    "host port": (lambda pod, own: own.update(ports=[{"containerPort": 1, "hostPort": 1}]), "takes a port of the host"),
    "host network": (lambda pod, own: pod.update(hostNetwork=True), "pod: hostNetwork"),
    "host path": (lambda pod, own: pod["volumes"].append({"name": "x", "hostPath": {"path": "/"}}), "is the host's"),
    "endless": (lambda pod, own: pod["volumes"].append({"name": "x", "emptyDir": {}}), "volume x has no limit"),
    "API token": (lambda pod, own: pod.pop("automountServiceAccountToken"), "mounts a token"),
    "service links": (lambda pod, own: pod.pop("enableServiceLinks"), "gets variables of services"),
}


@pytest.mark.parametrize("name", VIOLATIONS)
@pytest.mark.parametrize("group", ["containers", "initContainers"])
def test_each_violation_is_found(overlay: list[Manifest], name: str, group: str) -> None:
    change, expected = VIOLATIONS[name]
    manifest = copy.deepcopy(find_manifest(overlay, "Deployment", "torchserve"))
    pod = manifest["spec"]["template"]["spec"]
    change(pod, pod[group][0])
    assert any(expected in violation for violation in violations(manifest))


def test_no_manifest_is_a_secret(everything: list[Manifest]) -> None:
    assert not [each for each in everything if each["kind"] == "Secret"]
    names = {
        volume["secret"]["secretName"]
        for each in everything
        for volume in (pod_of(each) or {}).get("volumes", [])
        if "secret" in volume
    }
    assert names == {"torchserve-tokens", "page-tokens"}


def test_with_a_shared_store_only_the_job_may_download(everything: list[Manifest]) -> None:
    label = "yolov5-torchserve/downloads"
    template = find_manifest(everything, "Deployment", "torchserve")["spec"]["template"]
    assert label not in template["metadata"]["labels"]
    assert [each["name"] for each in template["spec"]["initContainers"]] == ["proxy"]
    assert find_manifest(everything, "Job", "archiver")["spec"]["template"]["metadata"]["labels"][label] == "true"
    (egress,) = (
        each for each in everything if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == "downloads"
    )
    assert egress["spec"]["podSelector"]["matchLabels"] == {label: "true"}


def test_policies_deny_everything_else(overlay: list[Manifest]) -> None:
    assert find_manifest(overlay, "NetworkPolicy", "nothing")["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    rules = find_manifest(overlay, "NetworkPolicy", "torchserve")["spec"]["ingress"]
    sources: dict[int, list[dict[str, Any]]] = {}
    for rule in rules:
        for source in rule["from"]:
            for port in rule["ports"]:
                sources.setdefault(port["port"], []).append(source)
    page = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "page"}}}
    assert sources[8081] == [page]
    assert page in sources[8080]
    assert page in sources[8082]
    (scraper,) = (each for each in sources[8082] if each != page)
    assert set(scraper) == {"namespaceSelector", "podSelector"}  # both must match
    assert set(sources) == {8080, 8081, 8082}
