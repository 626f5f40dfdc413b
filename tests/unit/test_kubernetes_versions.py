"""All containers of this project run one version, which the labels of all manifests and pods show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from support.kubernetes.manifests import (
    COMPONENTS,
    KSERVE,
    KUBERNETES,
    Manifest,
    containers_of,
    labels_of,
    pod_of,
    rendered,
    with_components,
)

OWN = "yolov5-torchserve/"
LABEL = "app.kubernetes.io/version"


@pytest.fixture(scope="module", params=["cpu", "gpu", "knative", "standard"])
def manifests(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    if request.param in ("knative", "standard"):
        return rendered(KSERVE / request.param)
    loader = yaml.safe_load((KUBERNETES / "components" / "shared-store" / "loader.yaml").read_text())
    return [*with_components(request.param, COMPONENTS, tmp_path_factory.mktemp("everything")), loader]


def images(manifests: list[Manifest]) -> set[str]:
    """The images of this project that the manifests start."""
    every = {each["image"] for manifest in manifests for each in containers_of(pod_of(manifest) or {"containers": []})}
    return {image for image in every if OWN in image}


def test_all_images_have_one_tag_and_all_labels_are_this_tag(manifests: list[Manifest]) -> None:
    (tag,) = {image.rpartition(":")[2] for image in images(manifests)}
    assert re.fullmatch(r"\d+\.\d+\.\d+", tag)  # a version, not a name that moves, such as 1 or stable
    for manifest in manifests:
        for labels in labels_of(manifest):
            assert labels.get(LABEL) == tag, (manifest["kind"], manifest["metadata"]["name"])


def test_no_selector_has_the_version(manifests: list[Manifest]) -> None:
    """A Deployment's selector cannot change, and a Service must keep its pods during an update."""
    for manifest in manifests:
        spec = manifest.get("spec", {})
        assert LABEL not in str([spec.get(name) for name in ("selector", "podSelector", "ingress", "egress")])


def test_no_image_is_pulled_twice_to_a_node(manifests: list[Manifest]) -> None:
    policies = {
        each.get("imagePullPolicy")
        for manifest in manifests
        for each in containers_of(pod_of(manifest) or {"containers": []})
    }
    assert policies == {"IfNotPresent"}


def test_the_commands_push_each_tag_that_the_manifests_start(tmp_path: Path) -> None:
    readme = (KUBERNETES / "README.md").read_text()
    (names,) = re.findall(r"^\$ for image in ([a-z ]+); do$", readme, re.MULTILINE)
    started = images(with_components("cpu", COMPONENTS, tmp_path))
    assert {image.rpartition(OWN)[2].partition(":")[0] for image in started} == set(names.split())
    assert "`imagePullPolicy: IfNotPresent`" in readme
