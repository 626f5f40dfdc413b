"""The KServe manifests have KServe's fields, and start the image as the Kubernetes manifests do."""

from __future__ import annotations

import ast
import copy
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from archiver.options import archive_name
from server.container.shutdown import FINISH_SECONDS
from support.kubernetes.manifests import (
    KSERVE,
    KUBERNETES,
    Manifest,
    container,
    environment,
    find_manifest,
    pod_of,
    rendered,
    violations,
)

SIMPLE_TYPES: dict[str, type] = {"str": str, "int": int, "bool": bool}


class InvalidField(Exception):
    """A field that KServe does not have, or a value of the wrong type."""


@cache
def fields_of(model: str) -> dict[str, str]:
    """The fields in YAML of one of KServe's types, with their types.

    They are read from the source of KServe's own client, which is generated from its CRDs.
    """
    package = importlib.util.find_spec("kserve")
    if package is None or package.origin is None:
        pytest.skip("the package kserve is not installed")
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model).lower()
    tree = ast.parse((Path(package.origin).parent / "models" / f"{name}.py").read_text())
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
    tables = {
        target.id: ast.literal_eval(node.value)
        for node in body
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name)
    }
    return {tables["attribute_map"][key]: kind for key, kind in tables["openapi_types"].items()}


def check(value: Any, kind: str, where: str) -> None:
    """Raises InvalidField. `check_pod` checks the types of Kubernetes itself."""
    if kind.startswith("list["):
        if not isinstance(value, list):
            raise InvalidField(f"{where}: expected a list")
        for index, each in enumerate(value):
            check(each, kind.removeprefix("list[").removesuffix("]"), f"{where}[{index}]")
    elif kind in SIMPLE_TYPES:
        if not isinstance(value, SIMPLE_TYPES[kind]) or isinstance(value, bool) != (kind == "bool"):
            raise InvalidField(f"{where}: expected {kind}, not {value!r}")
    elif kind.startswith(("V1alpha1", "V1beta1")):
        known = fields_of(kind)
        for name, content in value.items():
            if name not in known:
                raise InvalidField(f"{where}.{name}: {kind} has {', '.join(sorted(known))}")
            check(content, known[name], f"{where}.{name}")


def check_pod(spec: dict[str, Any]) -> None:
    """Raises an error if Kubernetes would refuse a pod with this spec."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
    kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def validate(manifest: Manifest) -> None:
    """Raises an error if KServe would refuse the manifest."""
    if manifest["kind"] == "ServingRuntime":
        assert manifest["apiVersion"] == "serving.kserve.io/v1alpha1"
        check(manifest, "V1alpha1ServingRuntime", "ServingRuntime")
        check_pod({name: manifest["spec"][name] for name in ("containers", "volumes")})
    elif manifest["kind"] == "InferenceService":
        assert manifest["apiVersion"] == "serving.kserve.io/v1beta1"
        check(manifest, "V1beta1InferenceService", "InferenceService")
    else:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


@pytest.fixture(scope="module", params=["knative", "standard"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def manifests(mode: str) -> list[Manifest]:
    return rendered(KSERVE / mode)


def test_the_manifests_are_valid(manifests: list[Manifest]) -> None:
    assert {each["kind"] for each in manifests} == {"ConfigMap", "InferenceService", "NetworkPolicy", "ServingRuntime"}
    for manifest in manifests:
        validate(manifest)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("ServingRuntime", ("spec", "protocolVersion"), "v1"),
        ("ServingRuntime", ("spec", "multiModel"), "false"),
        ("ServingRuntime", ("spec", "containers", 0, "imag"), "x"),
        ("InferenceService", ("spec", "predictor", "minReplica"), 1),
        ("InferenceService", ("spec", "predictor", "minReplicas"), "1"),
        ("InferenceService", ("spec", "predictor", "model", "modelFormat", "nam"), "x"),
    ],
)
def test_an_invalid_field_is_found(manifests: list[Manifest], kind: str, path: tuple[Any, ...], value: Any) -> None:
    broken = copy.deepcopy(next(each for each in manifests if each["kind"] == kind))
    inner: Any = broken
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises((InvalidField, kubernetes_validate.ValidationError)):
        validate(broken)


def test_containers_are_restricted_limited_and_pinned(manifests: list[Manifest]) -> None:
    runtime = find_manifest(manifests, "ServingRuntime", "yolov5-torchserve")
    assert violations(runtime) == []
    broken = copy.deepcopy(runtime)
    broken["spec"]["containers"][1]["image"] = "haproxy:latest"
    del broken["spec"]["containers"][0]["securityContext"]["runAsNonRoot"]
    assert violations(broken) == ["kserve-container: may be root", "proxy: image haproxy:latest is not pinned"]


def test_the_image_is_started_as_in_kubernetes(manifests: list[Manifest]) -> None:
    """The images, the proxy and the ports are the same; only what KServe sets differs."""
    here = pod_of(find_manifest(manifests, "ServingRuntime", "yolov5-torchserve")) or {}
    there = pod_of(find_manifest(rendered(KUBERNETES / "overlays" / "cpu"), "Deployment", "torchserve")) or {}
    server, model = container(there, "torchserve"), container(here, "kserve-container")
    assert model["image"] == server["image"]
    differs = {"MODEL_STORE": "/mnt/models"}
    expected = {**environment(server), **differs}
    for name in ("DESIRED_STATE", "ENABLE_MODEL_API", "HEALTH_HOST", "HEALTH_PORT"):
        del expected[name]  # one model that is not changed; the proxy checks the health inside the pod
    assert environment(model) == expected
    for key in ("image", "command", "resources", "volumeMounts"):
        assert container(here, "proxy")[key] == container(there, "proxy")[key]


def test_the_proxy_listens_on_the_only_declared_port(manifests: list[Manifest]) -> None:
    pod = pod_of(find_manifest(manifests, "ServingRuntime", "yolov5-torchserve")) or {}
    (port,) = (port["containerPort"] for each in pod["containers"] for port in each.get("ports", []))
    configuration = find_manifest(manifests, "ConfigMap", "proxy")
    assert f"    bind :{port}\n" in configuration["data"]["haproxy.cfg"]
    probe = container(pod, "kserve-container")["readinessProbe"]["httpGet"]
    assert probe == {"path": "/ready", "port": port}
    assert f"if {{ path {probe['path']} }} {{ nbsrv(readiness) gt 0 }}" in configuration["data"]["haproxy.cfg"]
    (volume,) = (each for each in pod["volumes"] if "configMap" in each)
    assert volume["configMap"]["name"] == configuration["metadata"]["name"]


def test_the_name_of_a_service_is_that_of_its_archive(manifests: list[Manifest]) -> None:
    model = container(pod_of(find_manifest(manifests, "ServingRuntime", "yolov5-torchserve")) or {}, "kserve-container")
    assert model["args"] == ["--models", "{{.Name}}", "--precision", "fp32"]
    assert archive_name("yolov5s", "fp32") == "yolov5s"


def test_the_service_uses_the_existing_runtime(manifests: list[Manifest]) -> None:
    runtime = find_manifest(manifests, "ServingRuntime", "yolov5-torchserve")
    model = find_manifest(manifests, "InferenceService", "yolov5s")["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["modelFormat"]["name"] in {each["name"] for each in runtime["spec"]["supportedModelFormats"]}
    assert runtime["spec"]["protocolVersions"] == [model["protocolVersion"]] == ["v1"]


def test_only_knative_scales_to_zero(mode: str, manifests: list[Manifest]) -> None:
    service = find_manifest(manifests, "InferenceService", "yolov5s")
    predictor = service["spec"]["predictor"]
    expected = ("Knative", 0) if mode == "knative" else ("Standard", 2)
    assert (
        service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"],
        predictor["minReplicas"],
    ) == expected
    runtime = find_manifest(manifests, "ServingRuntime", "yolov5-torchserve")
    hooks = [each.get("lifecycle") for each in runtime["spec"]["containers"]]
    if mode == "knative":
        assert hooks == [None, None]  # Knative does not allow them
        return
    first = int(re.search(r"sleep (\d+)$", hooks[0]["preStop"]["exec"]["command"][-1]).group(1))  # type: ignore[union-attr]
    last = int(hooks[1]["preStop"]["exec"]["command"][-1])
    assert first + FINISH_SECONDS < last < predictor["terminationGracePeriodSeconds"]
