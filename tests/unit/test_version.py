"""pyproject.toml sets the version; image tags and docs/openapi.yaml repeat it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
IMAGES = "yolov5-torchserve/"

# The tag of an image of this project, or a default of the variable VERSION.
TAG = re.compile(
    rf"{IMAGES}[a-z$-]+:(?P<image>[\w.-]+)"
    r"|\$\{VERSION:-(?P<compose>[^}]+)\}"
    r"|\$\{VERSION:=(?P<shell>[^}]+)\}"
    r"|^#VERSION=(?P<example>.+)$"
    r"|`VERSION` \| `(?P<documented>[^`]+)`",
    re.MULTILINE,
)
FOLDERS = ("gcp", "kubernetes", "kserve")
FILES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (
        *(ROOT / name for name in ("compose.yaml", "compose.gpu.yaml", ".env.example")),
        *(path for folder in FOLDERS for path in sorted((ROOT / "deploy" / folder).rglob("*")) if path.is_file()),
    )
}
TAGGED = [name for name, text in FILES.items() if TAG.search(text)]
KUSTOMIZATIONS = [name for name, text in FILES.items() if name.endswith("kustomization.yaml") and IMAGES in text]


@pytest.mark.parametrize("name", TAGGED)
def test_tags_are_the_version(name: str) -> None:
    assert {match[match.lastgroup or 0] for match in TAG.finditer(FILES[name])} == {VERSION}


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_kustomizations_set_the_version(name: str) -> None:
    images = [image for image in yaml.safe_load(FILES[name])["images"] if image["name"].startswith(IMAGES)]
    assert images
    assert {image["newTag"] for image in images} == {VERSION}


def test_every_image_of_the_project_has_a_tag() -> None:
    images = [match for text in FILES.values() for match in re.findall(rf"image: *(\S*{IMAGES}\S+)", text)]
    assert len(images) >= 8
    assert [image for image in images if ":" not in image] == []


LABEL = re.compile(r"app\.kubernetes\.io/version: ([^\s,}]+)")


@pytest.mark.parametrize("name", [*KUSTOMIZATIONS, "deploy/kubernetes/components/shared-store/loader.yaml"])
def test_labels_are_the_version(name: str) -> None:
    assert set(LABEL.findall(FILES[name])) == {VERSION}


def test_all_places_are_checked() -> None:
    assert {"compose.yaml", "compose.gpu.yaml", ".env.example", "deploy/gcp/settings.sh"} <= set(TAGGED)
    assert {"deploy/kubernetes/base/page.yaml", "deploy/kubernetes/base/torchserve.yaml"} <= set(TAGGED)
    assert {"deploy/kserve/knative/runtime.yaml"} <= set(TAGGED)
    assert {"deploy/kubernetes/overlays/cpu/kustomization.yaml", "deploy/kserve/knative/kustomization.yaml"} <= set(
        KUSTOMIZATIONS
    )


def test_the_openapi_document_has_the_version() -> None:
    assert yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())["info"]["version"] == VERSION
