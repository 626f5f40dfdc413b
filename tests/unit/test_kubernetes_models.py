"""A change of the models is a new revision, whose rollback finds the old models; or a hot swap, with its component."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.kubernetes.manifests import KUBERNETES, Manifest, find_manifest, pod_of, rendered

OTHER = [{"model": "waste", "version": "2.0", "archive": "waste-2.0.mar", "workers": 2, "is_default": True}]


def before_and_after(overlay: str, scratch: Path, component: str = "") -> tuple[list[Manifest], list[Manifest]]:
    """What `kubectl apply -k` sends before and after a change of the models."""
    copy = scratch / "kubernetes"
    shutil.copytree(KUBERNETES, copy)
    kustomization = copy / "overlays" / overlay / "kustomization.yaml"
    if component:
        line = f"- ../../{component}\n"
        kustomization.write_text(kustomization.read_text().replace(f"# {line}", line))
    before = rendered(kustomization.parent)
    (copy / "base" / "registered.json").write_text(json.dumps(OTHER))
    return before, rendered(kustomization.parent)


def mounted_models(manifests: list[Manifest]) -> Manifest:
    """The ConfigMap that the replicas mount as their models."""
    pod: dict[str, Any] = pod_of(find_manifest(manifests, "Deployment", "torchserve")) or {}
    (volume,) = (each for each in pod["volumes"] if each["name"] == "models")
    return find_manifest(manifests, "ConfigMap", volume["configMap"]["name"])


@pytest.mark.parametrize("overlay", ["cpu", "gpu"])
def test_a_change_of_the_models_is_a_new_revision(overlay: str, tmp_path: Path) -> None:
    before, after = before_and_after(overlay, tmp_path)
    old, new = mounted_models(before), mounted_models(after)
    assert json.loads(new["data"]["registered.json"]) == OTHER
    # The second apply creates another ConfigMap and leaves the first, which the old revision mounts.
    assert old["metadata"]["name"] != new["metadata"]["name"]
    assert old["immutable"] is new["immutable"] is True
    deployments = [find_manifest(each, "Deployment", "torchserve") for each in (before, after)]
    assert deployments[0]["spec"]["template"] != deployments[1]["spec"]["template"]
    assert deployments[1]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert deployments[1]["spec"]["revisionHistoryLimit"] > 0


@pytest.mark.parametrize("overlay", ["cpu", "gpu"])
def test_with_the_component_a_change_reaches_running_pods(overlay: str, tmp_path: Path) -> None:
    before, after = before_and_after(overlay, tmp_path, "components/hot-swap")
    old, new = mounted_models(before), mounted_models(after)
    assert json.loads(new["data"]["registered.json"]) == OTHER
    assert old["metadata"]["name"] == new["metadata"]["name"] == "models"
    assert "immutable" not in new  # so that it can be updated
    templates = [find_manifest(each, "Deployment", "torchserve")["spec"]["template"] for each in (before, after)]
    assert templates[0] == templates[1]
    # kubelets update the files of a folder, but not a single file that is mounted with subPath
    (server,) = (each for each in templates[1]["spec"]["containers"] if each["name"] == "torchserve")
    (mount,) = (each for each in server["volumeMounts"] if each["name"] == "models")
    assert "subPath" not in mount


@pytest.mark.parametrize("overlay", ["cpu", "gpu"])
def test_all_that_a_replica_mounts_is_versioned(overlay: str) -> None:
    """A rollback restores the settings and the proxy too. Only the tokens belong to no revision."""
    manifests = rendered(KUBERNETES / "overlays" / overlay)
    pod: dict[str, Any] = pod_of(find_manifest(manifests, "Deployment", "torchserve")) or {}
    mounted = {each["configMap"]["name"] for each in pod["volumes"] if "configMap" in each}
    read = {
        source["configMapRef"]["name"]
        for each in (*pod["initContainers"], *pod["containers"])
        for source in each.get("envFrom", [])
    }
    assert {name.rpartition("-")[0] for name in mounted | read} == {"models", "proxy", "serving"}


def test_the_readme_says_how_models_are_restored() -> None:
    readme = (KUBERNETES / "README.md").read_text()
    assert "$ kubectl rollout undo deployment/torchserve --namespace yolov5\n" in readme
    component = yaml.safe_load((KUBERNETES / "components" / "hot-swap" / "kustomization.yaml").read_text())
    assert component["configMapGenerator"][0]["options"]["disableNameSuffixHash"] is True
    assert "`components/hot-swap`" in readme
