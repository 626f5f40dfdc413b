"""Manifests as a cluster would get them: rendered by kustomize, and looked at for what must not be in them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

Manifest = dict[str, Any]

ROOT = Path(__file__).resolve().parents[3]
KUBERNETES = ROOT / "deploy" / "kubernetes"
KSERVE = ROOT / "deploy" / "kserve"
COMPONENTS = ("monitoring", "queue-latency", "shared-store")
SIZES = ("cpu", "memory", "ephemeral-storage")


def program(name: str) -> str:
    """The path of a program, of our environment first; the test is skipped where there is none."""
    own = Path(sys.executable).parent / name
    found = str(own) if own.is_file() else shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


def rendered(folder: Path) -> list[Manifest]:
    """What `kubectl apply -k` would send."""
    done = subprocess.run(
        [program("kubectl"), "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def with_components(overlay: str, components: Sequence[str], scratch: Path) -> list[Manifest]:
    """An overlay with components, in a copy of the tree where their lines are no comments any more."""
    copy = scratch / "kubernetes"
    shutil.copytree(KUBERNETES, copy)
    path = copy / "overlays" / overlay / "kustomization.yaml"
    text = path.read_text()
    for component in components:
        line = f"- ../../components/{component}\n"
        assert f"# {line}" in text
        text = text.replace(f"# {line}", line)
    path.write_text(text)
    return rendered(copy / "overlays" / overlay)


def one(manifests: Sequence[Manifest], kind: str, name: str) -> Manifest:
    """The only one of that kind and name; names of generated ConfigMaps may go on with a hash."""
    found = [
        each
        for each in manifests
        if each["kind"] == kind and (each["metadata"]["name"] == name or _without_hash(each) == name)
    ]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def _without_hash(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"].rpartition("-")[0]) if manifest["kind"] == "ConfigMap" else ""


def pod_of(manifest: Manifest) -> dict[str, Any] | None:
    """The pod that a manifest makes, or None where it makes none."""
    if manifest["kind"] in ("Deployment", "Job"):
        return dict(manifest["spec"]["template"]["spec"])
    return dict(manifest["spec"]) if manifest["kind"] in ("Pod", "ServingRuntime") else None


def containers_of(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All of them, those that only prepare included."""
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    """The container of that name."""
    (found,) = (each for each in containers_of(pod) if each["name"] == name)
    return dict(found)


def environment(container: dict[str, Any]) -> dict[str, str]:
    """Variables that are written down in a container."""
    return {each["name"]: each["value"] for each in container.get("env", [])}


def preparing(pod: dict[str, Any]) -> set[str]:
    """Names of the containers that end before the others start."""
    return {each["name"] for each in pod.get("initContainers", []) if each.get("restartPolicy") != "Always"}


def violations(manifest: Manifest) -> list[str]:
    """What is privileged, root, unbounded or not pinned."""
    pod = pod_of(manifest)
    if pod is None:
        return []
    found = [f"pod: {each}" for each in _of_pod(pod, manifest["kind"])]
    for each in containers_of(pod):
        context = {**pod.get("securityContext", {}), **each.get("securityContext", {})}
        found += [f"{each['name']}: {problem}" for problem in (*_of_context(context), *_of_container(each))]
    return found


def _of_pod(pod: dict[str, Any], kind: str) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield name
    # A ServingRuntime has no such fields: Knative and the InferenceService see to it.
    if kind != "ServingRuntime":
        if pod.get("automountServiceAccountToken") is not False:
            yield "mounts a token for the cluster's API"
        if pod.get("enableServiceLinks") is not False:
            yield "gets variables of services, which are named like settings"
    for volume in pod.get("volumes", []):
        if "hostPath" in volume:
            yield f"volume {volume['name']} is the host's"
        if "emptyDir" in volume and "sizeLimit" not in (volume["emptyDir"] or {}):
            yield f"volume {volume['name']} has no limit"


def _of_context(context: dict[str, Any]) -> Iterator[str]:
    """What is wrong in a container's security context, the pod's included."""
    if context.get("privileged"):
        yield "privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "can gain privileges"
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "may be root"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "can write to its root"
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
        yield "has capabilities"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"


def _of_container(container: dict[str, Any]) -> Iterator[str]:
    """What is wrong in its image, its resources and its ports."""
    tag = container["image"].rpartition("/")[2].partition(":")[2]
    if not tag or tag.startswith("latest"):
        yield f"image {container['image']} is not pinned"
    for kind in ("requests", "limits"):
        missing = [size for size in SIZES if size not in container.get("resources", {}).get(kind, {})]
        if missing:
            yield f"no {kind} of {', '.join(missing)}"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "takes a port of the host"
