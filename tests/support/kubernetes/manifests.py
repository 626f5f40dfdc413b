"""The manifests as a cluster gets them, rendered by kustomize, and checks of their restrictions."""

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
COMPONENTS = ("hot-swap", "monitoring", "queue-latency", "shared-store")
RESOURCES = ("cpu", "memory", "ephemeral-storage")


def program(name: str) -> str:
    """The path of a program, in the virtual environment or on PATH. The test is skipped without it."""
    own = Path(sys.executable).parent / name
    path = str(own) if own.is_file() else shutil.which(name)
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


def rendered(folder: Path) -> list[Manifest]:
    """The manifests that `kubectl apply -k` would send."""
    done = subprocess.run(
        [program("kubectl"), "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def with_components(overlay: str, components: Sequence[str], scratch: Path) -> list[Manifest]:
    """An overlay with components, in a copy of the folder where their lines are not commented out."""
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


def find_manifest(manifests: Sequence[Manifest], kind: str, name: str) -> Manifest:
    """The manifest of this kind and name. The name of a generated ConfigMap may end with a hash."""
    matches = [
        manifest
        for manifest in manifests
        if manifest["kind"] == kind and name in (manifest["metadata"]["name"], _without_hash(manifest))
    ]
    assert len(matches) == 1, f"{len(matches)} of {kind} {name}"
    return matches[0]


def _without_hash(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"].rpartition("-")[0]) if manifest["kind"] == "ConfigMap" else ""


def pod_of(manifest: Manifest) -> dict[str, Any] | None:
    """The pod of a manifest, or None if it has none."""
    if manifest["kind"] in ("Deployment", "Job"):
        return dict(manifest["spec"]["template"]["spec"])
    return dict(manifest["spec"]) if manifest["kind"] in ("Pod", "ServingRuntime") else None


def labels_of(manifest: Manifest) -> list[dict[str, str]]:
    """The labels of a manifest, and those that it gives to its pods."""
    labels = [manifest["metadata"].get("labels", {})]
    if manifest["kind"] in ("Deployment", "Job"):
        labels.append(manifest["spec"]["template"]["metadata"].get("labels", {}))
    if manifest["kind"] == "ServingRuntime":
        labels.append(manifest["spec"].get("labels", {}))
    return labels


def containers_of(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All containers, including init containers."""
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def container(pod: dict[str, Any], name: str) -> dict[str, Any]:
    """The container of this name."""
    (match,) = (container for container in containers_of(pod) if container["name"] == name)
    return dict(match)


def environment(container: dict[str, Any]) -> dict[str, str]:
    """The variables that a container sets itself."""
    return {variable["name"]: variable["value"] for variable in container.get("env", [])}


def preparing(pod: dict[str, Any]) -> set[str]:
    """The names of the init containers that end before the others start."""
    return {entry["name"] for entry in pod.get("initContainers", []) if entry.get("restartPolicy") != "Always"}


def violations(manifest: Manifest) -> list[str]:
    """The violations of a manifest: privileged, root, without limits or not pinned."""
    pod = pod_of(manifest)
    if pod is None:
        return []
    problems = [f"pod: {problem}" for problem in _of_pod(pod, manifest["kind"])]
    for entry in containers_of(pod):
        context = {**pod.get("securityContext", {}), **entry.get("securityContext", {})}
        problems += [f"{entry['name']}: {problem}" for problem in (*_of_context(context), *_of_container(entry))]
    return problems


def _of_pod(pod: dict[str, Any], kind: str) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield name
    # A ServingRuntime has no such fields; Knative or the InferenceService sets them.
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
    """The violations in a container's security context, which includes the pod's."""
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
    """The violations in a container's image, resources and ports."""
    tag = container["image"].rpartition("/")[2].partition(":")[2]
    if not tag or tag.startswith("latest"):
        yield f"image {container['image']} is not pinned"
    if container.get("imagePullPolicy") != "IfNotPresent":
        yield "has no pull policy IfNotPresent"
    for kind in ("requests", "limits"):
        missing = [resource for resource in RESOURCES if resource not in container.get("resources", {}).get(kind, {})]
        if missing:
            yield f"no {kind} of {', '.join(missing)}"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "takes a port of the host"
